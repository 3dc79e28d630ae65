"""A recipe and a dataset become a model, in a run with a folder and a process of its own."""
