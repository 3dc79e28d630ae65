"""The panels of studies on the page Train: a new study, its search space, and studies in progress and ended."""
