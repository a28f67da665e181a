"""Matplotlib figures of arrays; no room of the house is imported here."""
