"""Models and results in formats that other systems read."""
