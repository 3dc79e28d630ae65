"""The shortcut audit: whether a model can predict without the lungs, and whether its heatmaps mean something."""
