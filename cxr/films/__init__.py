"""A file becomes a film: decoded, checked, grey, without identity."""
