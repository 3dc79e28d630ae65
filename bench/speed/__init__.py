"""Speed beside the alternatives: the same films, weights and machine, in one run, in turns."""
