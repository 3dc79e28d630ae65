"""The learning curve of a dataset on the pages Data and Jobs."""
