"""Files of the project folder."""

from curate.files import read_json, write_atomically, write_json

__all__ = ["read_json", "write_atomically", "write_json"]
