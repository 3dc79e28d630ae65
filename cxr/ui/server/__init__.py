"""What every request to the server passes before Streamlit sees it: `streamlit_app.py` names these in `st.App`."""
