"""Who is who: passwords of local users, and how often somebody may try."""

from __future__ import annotations

import getpass
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from curate.errors import AccessError, ConfigError, DataError
from curate.store import Role, Store, User

if TYPE_CHECKING:
    from argon2 import PasswordHasher

__all__ = [
    "SHORTEST",
    "Attempts",
    "add_user",
    "ask_password",
    "check_password",
    "is_loopback",
    "set_password",
]

SHORTEST = 10
"""Characters of a password."""
_LONGEST = 512
_MOST_KEYS = 10_000


def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id with the library's parameters, those of RFC 9106 for little memory


def _hash(password: str) -> str:
    if not SHORTEST <= len(password) <= _LONGEST:
        raise DataError(
            f"a password has {SHORTEST} to {_LONGEST} characters, got {len(password)}", item="password"
        )
    return _hasher().hash(password)


def add_user(store: Store, name: str, role: Role, password: str | None = None) -> User:
    """Add somebody.

    Args:
        store: The store.
        name: Unique; the address that the provider tells, for sign-in by OIDC.
        role: What they may do.
        password: For sign-in here; None for OIDC only.

    Raises:
        DataError: The name or the password cannot be used.
        ConflictError: The name is taken, or there is no owner yet.
    """
    return store.add_user(name, role, None if password is None else _hash(password))


def set_password(store: Store, name: str, password: str) -> User:
    """Give somebody another password.

    Raises:
        DataError: It cannot be used.
        NotFoundError: Nobody has this name.
    """
    return store.set_password(name, _hash(password))


def check_password(store: Store, name: str, password: str) -> User:
    """The user if the password is theirs. It takes as long for somebody who does not exist.

    Raises:
        AccessError: Wrong name or password, without saying which.
    """
    from argon2.exceptions import InvalidHashError, VerifyMismatchError

    hasher = _hasher()
    known = store.password_hash(name)
    refused = AccessError("wrong name or password", item="sign-in")
    try:
        hasher.verify(known or _NOBODY, password[:_LONGEST])
    except (VerifyMismatchError, InvalidHashError) as error:
        raise refused from error
    if known is None:
        raise refused
    if hasher.check_needs_rehash(known):
        store.set_password(name, hasher.hash(password))
    return store.user(name)


# A hash of nothing that anybody knows: checked for unknown names, so that these cannot be told by the time it takes.
_NOBODY = "$argon2id$v=19$m=65536,t=3,p=4$bm9ib2R5IGtub3dzIQ$9Q6mqc8vdYUH0vFJ5VvqJXcWYhzhwFmr2eGPGGPTBYs"


class Attempts:
    """At most so many failed attempts for each key within a time; kept in this process.

    Args:
        limit: Attempts allowed.
        seconds: Within these.
    """

    def __init__(self, limit: int = 5, seconds: float = 300.0) -> None:
        self._limit = limit
        self._seconds = seconds
        self._failed: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def wait(self, *keys: str) -> float:
        """Seconds until the next attempt is allowed for all of the keys; 0 for now."""
        now = time.monotonic()
        with self._lock:
            return max((self._left(key, now) for key in keys), default=0.0)

    def _left(self, key: str, now: float) -> float:
        times = self._failed.get(key)
        while times and now - times[0] >= self._seconds:
            times.popleft()
        if not times:
            self._failed.pop(key, None)
            return 0.0
        return self._seconds - (now - times[0]) if len(times) >= self._limit else 0.0

    def failed(self, *keys: str) -> None:
        """Note a failed attempt."""
        now = time.monotonic()
        with self._lock:
            if len(self._failed) > _MOST_KEYS:  # Names that somebody makes up must not fill the memory.
                for known in list(self._failed):
                    self._left(known, now)
            for key in keys:
                self._failed.setdefault(key, deque(maxlen=self._limit)).append(now)

    def succeeded(self, *keys: str) -> None:
        """Forget the failures."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)


def is_loopback(address: str | None) -> bool:
    """Whether a server bound to this address is reached from this machine only; an empty one is every address."""
    import ipaddress

    if not address:
        return False
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def ask_password(variable: str = "CROSSGUARD_PASSWORD") -> str:
    """A new password: from the environment, or asked for twice on a terminal; never an argument of a command.

    Raises:
        ConfigError: The two differ, or there is no terminal.
    """
    given = os.environ.get(variable)
    if given:
        return given
    if not os.isatty(0):
        raise ConfigError("there is no terminal to ask for a password", hint=f"set {variable}")
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Again: "):
        raise ConfigError("the two differ", item="password")
    return first
