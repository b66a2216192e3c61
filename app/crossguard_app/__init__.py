"""The web app of Crossguard: a Streamlit server for one project, bound to this machine."""

__all__: list[str] = []
