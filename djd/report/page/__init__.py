"""The report: one page, its figures, and a table for a manuscript."""
