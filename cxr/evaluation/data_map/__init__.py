"""A map of the data: X-rays in two dimensions by their features, and what separates them, disease or source."""
