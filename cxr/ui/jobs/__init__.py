"""The panels of the page Jobs."""
