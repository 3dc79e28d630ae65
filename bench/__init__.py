"""What is measured: each script says how to run it."""
