"""Questions about the open X-ray: what would change the prediction, and what resembles the image."""
