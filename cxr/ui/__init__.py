"""The dashboard: everything that imports Streamlit."""
