"""How far a model can be trusted: metrics computed from stored scores."""
