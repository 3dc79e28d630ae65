"""Decoding of untrusted files in separate processes."""
