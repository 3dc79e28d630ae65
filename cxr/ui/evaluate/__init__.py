"""The panels of the page Evaluate."""
