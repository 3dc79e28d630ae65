"""How far a model can be trusted: metrics and intervals computed from stored scores."""
