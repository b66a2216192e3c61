"""Where the frames' pictures lie: a folder of this machine, or an object store behind an fsspec URL."""

from curate.framefiles.base import FrameFiles, checked_path
from curate.framefiles.local import LocalFrames
from curate.framefiles.location import open_frame_files
from curate.framefiles.remote import RemoteFrames

__all__ = ["FrameFiles", "LocalFrames", "RemoteFrames", "checked_path", "open_frame_files"]
