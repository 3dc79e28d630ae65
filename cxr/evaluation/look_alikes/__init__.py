"""Look-alikes: the training X-rays that resemble an image most, in the eyes of the model's backbone."""
