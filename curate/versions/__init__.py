"""Dataset versions: immutable manifests with a content hash, a parent and a diff."""

from curate.versions.labels import load_version_annotations, version_label_ids, version_labels_by_frame
from curate.versions.manifest import Manifest
from curate.versions.versions import (
    LabelChange,
    Version,
    VersionDiff,
    create_version,
    diff_versions,
    get_version,
    list_versions,
)

__all__ = [
    "LabelChange",
    "Manifest",
    "Version",
    "VersionDiff",
    "create_version",
    "diff_versions",
    "get_version",
    "list_versions",
    "load_version_annotations",
    "version_label_ids",
    "version_labels_by_frame",
]
