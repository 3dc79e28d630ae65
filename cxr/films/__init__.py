"""A file becomes a film: decoded, checked, gray, without identity."""
