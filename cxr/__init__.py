"""Read, explain, judge and retrain chest X-ray classifiers. A research and teaching demo, not a medical device."""

__version__ = "0.1.0"
DISCLAIMER = "A research and teaching demo, not a medical device."
