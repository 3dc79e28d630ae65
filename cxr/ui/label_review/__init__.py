"""The review of labels on the page Data: started, read blind, concluded."""
