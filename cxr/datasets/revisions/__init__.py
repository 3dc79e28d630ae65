"""Revisions of a dataset: labels corrected, X-rays excluded, patients merged; every earlier manifest is kept."""
