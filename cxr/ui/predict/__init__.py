"""The panels of the page Predict."""
