"""The panels of the page Train."""
