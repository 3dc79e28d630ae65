"""The panels of the page Models."""
