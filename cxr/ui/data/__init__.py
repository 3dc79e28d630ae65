"""The panels of the page Data."""
