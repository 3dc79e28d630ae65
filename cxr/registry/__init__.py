"""What a model is and where it stands: recipe, hyperparameters, card, weights, and the default model."""
