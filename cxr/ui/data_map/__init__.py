"""The view Map of the page Data."""
