"""Slices on the page Evaluate: the parts in which the model errs more often than elsewhere, with their X-rays."""
