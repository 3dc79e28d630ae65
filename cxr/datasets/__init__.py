"""Films become a dataset: labelled, split by patient, audited."""
