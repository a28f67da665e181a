"""Invented scans in the real file format."""
