"""Files to crops: reading scans, cutting out knees, gathering cohorts."""

from djd.data.scan import Scan, ScanError, read_scan

__all__ = ["Scan", "ScanError", "read_scan"]
