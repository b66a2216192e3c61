"""Signed addresses: the picture route answers only to addresses that the app itself wrote.

Streamlit's login does not cover routes beside it, and any page open in the same browser could ask 127.0.0.1 for
pictures. The secret is one random file per project that only its owner can read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from curate.errors import ProjectError

__all__ = ["read_secret", "sign", "verify"]

_BYTES = 32
_DIGITS = 40


def read_secret(path: Path) -> bytes:
    """The project's secret, made at first use with rights 0600.

    Raises:
        ProjectError: The file cannot be read or written, or is damaged.
    """
    try:
        _create(path)
        secret = path.read_bytes()
    except OSError as error:
        raise ProjectError(
            f"cannot read or write the secret: {error.strerror}",
            file=path,
            hint="check the rights of the folder",
        ) from error
    if len(secret) != _BYTES:
        raise ProjectError(
            f"expected {_BYTES} bytes, found {len(secret)}", file=path, hint="delete it; a new one is made"
        )
    return secret


def _create(path: Path) -> None:
    if path.exists():
        return
    # Written beside and linked into place: two servers that start at once agree on one secret.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            return
    finally:
        draft.unlink()


def sign(secret: bytes, *parts: str) -> str:
    """A signature over all parts, in their order."""
    message = "\0".join(parts).encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()[:_DIGITS]


def verify(secret: bytes, signature: str, *parts: str) -> bool:
    """Whether the signature is ours, in constant time."""
    return hmac.compare_digest(sign(secret, *parts).encode(), signature.encode())
