"""Numbers become Plotly figures, each with its text alternative and its data."""
