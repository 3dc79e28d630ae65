"""Fitting a trained model to one hospital: calibration, operating point and, with enough X-rays, its last layer."""
