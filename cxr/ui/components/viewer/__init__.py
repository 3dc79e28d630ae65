"""The X-ray viewer: a component of its own, in full gray depth, that asks the server for nothing while one looks."""
