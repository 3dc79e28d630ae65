"""A model from the shelf reads a film: probabilities, decision, heatmap."""
