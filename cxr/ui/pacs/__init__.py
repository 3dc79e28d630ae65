"""The panels that exchange with a PACS: X-rays that come from it, and results that go back."""
