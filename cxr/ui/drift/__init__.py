"""Drift watch on the page Models."""
