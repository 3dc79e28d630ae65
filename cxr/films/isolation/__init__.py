"""Untrusted files are decoded in processes of their own."""
