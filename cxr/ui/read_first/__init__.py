"""Reading first: the X-ray alone and the reader's answer, before the model's answer is shown."""
