"""Labels that may be wrong: ranked by out-of-fold probabilities, to be looked at by people."""
