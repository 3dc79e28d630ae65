"""How far a reading can be trusted: metrics computed from stored scores."""
