"""Model files to grades of new scans."""
