"""Counter-checks on one X-ray: it is changed on purpose, and the model reads it again."""
