"""Slices: parts of the X-rays in which a model errs more often than elsewhere, found rather than named beforehand."""
