"""Grade knee degenerative joint disease on whole-body bone scans, and compare settings honestly."""
