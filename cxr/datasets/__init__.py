"""Films become a dataset: labeled, split by patient, audited."""
