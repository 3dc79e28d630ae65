"""Files become films: decoded, checked, gray, without identity."""
