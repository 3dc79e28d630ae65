"""Studies: a search for the hyperparameters of a recipe, trial by trial, judged on validation X-rays."""
