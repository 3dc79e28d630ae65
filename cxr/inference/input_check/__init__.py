"""Whether an image is one that the model may be asked about."""
