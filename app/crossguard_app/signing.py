"""Signed addresses: the picture route answers only to addresses that the app itself wrote.

Streamlit's login does not cover routes beside it, and any page open in the same browser could ask 127.0.0.1 for
pictures. The secret is one random file per project that only its owner can read.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from pathlib import Path

from curate.errors import ProjectError

__all__ = ["SECONDS", "read_secret", "sign", "verify"]

SECONDS = 6 * 3600
"""An address is good for this long at least."""

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
    """A token over all parts, in their order, that expires after `SECONDS` to twice as long.

    For `SECONDS` at a time the same parts give the same token, so that a browser finds in its cache what it had.
    """
    return _token(secret, (int(time.time() // SECONDS) + 2) * SECONDS, *parts)


def verify(secret: bytes, token: str, *parts: str) -> bool:
    """Whether the token is ours, compared in constant time, and has not expired."""
    try:
        expires = int(token.partition("-")[0], 16)
    except ValueError:
        return False
    expected = _token(secret, expires, *parts)
    return hmac.compare_digest(expected.encode(), token.encode()) and time.time() < expires


def _token(secret: bytes, expires: int, *parts: str) -> str:
    message = "\0".join([*parts, str(expires)]).encode()
    return f"{expires:x}-{hmac.new(secret, message, hashlib.sha256).hexdigest()[:_DIGITS]}"
