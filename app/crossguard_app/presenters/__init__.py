"""From the library's answers to what a page shows: plain values, no Streamlit."""
