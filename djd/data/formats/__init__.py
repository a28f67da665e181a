"""File formats that a scan is read from."""
