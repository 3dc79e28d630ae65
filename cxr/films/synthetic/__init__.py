"""Synthetic films with known truth, planted shortcuts, corrupted films, and pictures that are no chest X-rays."""
