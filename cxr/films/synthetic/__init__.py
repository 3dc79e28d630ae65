"""Synthetic X-rays with known ground truth, planted shortcuts, corruptions, and images that are not X-rays."""
