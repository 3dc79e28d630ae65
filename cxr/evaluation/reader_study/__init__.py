"""Reader studies: sets of cases, the score of a reader, agreement, and reading with and without a model compared."""
