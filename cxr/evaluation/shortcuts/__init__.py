"""Whether a model can answer without looking at the lungs."""
