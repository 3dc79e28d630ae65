"""A model reads a film: probabilities, decision, heatmaps."""
