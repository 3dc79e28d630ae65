"""A recipe and a dataset become a trained network."""
