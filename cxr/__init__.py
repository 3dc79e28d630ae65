"""Run, explain, evaluate and retrain chest X-ray classifiers. A research and teaching demo, not a medical device."""

__version__ = "0.2.0"
DISCLAIMER = "A research and teaching demo, not a medical device."
