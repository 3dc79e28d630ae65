"""Results in words, tables and pictures, for pages, reports and the command line alike."""
