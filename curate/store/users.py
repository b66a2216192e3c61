"""People and what they may do. A project without users belongs to whoever has its folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from curate.errors import AccessError, ConflictError, DataError, NotFoundError
from curate.store import schema
from curate.store.audit import write_audit
from curate.store.base import StoreBase

__all__ = ["Role", "User", "UserStore"]

_table = schema.users
_LONGEST = 64


class Role(StrEnum):
    """What somebody may do: each includes the ones before."""

    VIEWER = "viewer"
    """Look at everything."""
    REVIEWER = "reviewer"
    """Decide, label, scan, train, make versions."""
    OWNER = "owner"
    """Add people, purge, restore."""

    @property
    def rank(self) -> int:
        """0 for the least."""
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who works on the project.

    Attributes:
        name: Unique; stored with every decision.
        role: See `Role`.
        active: False once removed: the name stays with what they did.
        has_password: Signs in here; else only through OIDC.
        created_at: Unix time.
    """

    name: str
    role: Role
    active: bool
    has_password: bool
    created_at: float


class UserStore(StoreBase):
    """Users. Passwords come and go as argon2 hashes; `curate.workflows.people` makes and checks them."""

    def users(self) -> list[User]:
        """Everybody, removed ones included, by name."""
        with self._read() as connection:
            return [_user(row) for row in connection.execute(sa.select(_table).order_by(_table.c.name))]

    def user(self, name: str) -> User:
        """One of them.

        Raises:
            NotFoundError: Nobody has this name.
        """
        with self._read() as connection:
            row = connection.execute(sa.select(_table).where(_table.c.name == name)).first()
        if row is None:
            raise NotFoundError("no such user", item=f"user {name}", hint="`curate users list` shows them")
        return _user(row)

    def password_hash(self, name: str) -> str | None:
        """The hash of an active user's password; None for anybody else."""
        query = sa.select(_table.c.password).where(_table.c.name == name, _table.c.active)
        with self._read() as connection:
            found: str | None = connection.execute(query).scalar()
        return found

    def add_user(self, name: str, role: Role, password_hash: str | None = None) -> User:
        """Add somebody, or take a removed one in again. The first has to be an owner.

        Raises:
            ConflictError: The name is taken, or there is no owner yet.
            DataError: The name is empty, too long or not printable.
        """
        if not name.strip() or name != name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise DataError(f"a name has 1 to {_LONGEST} printable characters, got {name!r}", item="user")
        values = {
            "role": role.value,
            "password": password_hash,
            "active": True,
            "created_by": self.actor,
            "created_at": time.time(),
        }
        with self.begin() as connection:
            known = connection.execute(sa.select(_table.c.active).where(_table.c.name == name)).first()
            if known is not None and known.active:
                raise ConflictError("there is a user of this name", item=f"user {name}")
            if role is not Role.OWNER and not self._owners():
                raise ConflictError("the first user has to be an owner", item=f"user {name}")
            if known is None:
                connection.execute(sa.insert(_table), values | {"name": name})
            else:
                connection.execute(sa.update(_table).where(_table.c.name == name).values(**values))
            write_audit(connection, self.actor, "user.add", name, {"role": role.value})
        return self.user(name)

    def set_role(self, name: str, role: Role) -> User:
        """Give somebody another role.

        Raises:
            NotFoundError: Nobody has this name.
            ConflictError: It is the last owner.
        """
        return self._change(name, "user.role", {"role": role.value}, keeps_owner=role is Role.OWNER)

    def set_password(self, name: str, password_hash: str) -> User:
        """Give somebody another password; the log says that it changed, not to what."""
        return self._change(name, "user.password", {"password": password_hash}, keeps_owner=True)

    def remove_user(self, name: str) -> User:
        """Let somebody in no more. What they did stays theirs.

        Raises:
            NotFoundError: Nobody has this name.
            ConflictError: It is the last owner.
        """
        return self._change(name, "user.remove", {"active": False, "password": None}, keeps_owner=False)

    def role_of(self, name: str) -> Role | None:
        """What a person may do: everything while the project has no users; None for a stranger."""
        with self._read() as connection:
            row = connection.execute(
                sa.select(_table.c.role, _table.c.active).where(_table.c.name == name)
            ).first()
            if row is None:
                anybody = connection.execute(sa.select(_table.c.name).limit(1)).first()
                return Role.OWNER if anybody is None else None
        return Role(row.role) if row.active else None

    def expect_role(self, name: str, least: Role) -> None:
        """Refuse what somebody may not do.

        Raises:
            AccessError: Not a user of this project, or one with too small a role.
        """
        role = self.role_of(name)
        if role is None:
            raise AccessError(
                "not a user of this project", item=f"user {name}", hint="an owner can `curate users add`"
            )
        if role.rank < least.rank:
            raise AccessError(
                f"this needs the role {least.value}, yours is {role.value}",
                item=f"user {name}",
                hint="an owner can change it with `curate users role`",
            )

    def _owners(self) -> set[str]:
        query = sa.select(_table.c.name).where(_table.c.active, _table.c.role == Role.OWNER.value)
        with self._read() as connection:
            return set(connection.execute(query).scalars())

    def _change(self, name: str, action: str, values: dict[str, Any], *, keeps_owner: bool) -> User:
        with self.begin() as connection:
            before = self.user(name)
            if not before.active:
                raise NotFoundError("this user was removed", item=f"user {name}")
            if not keeps_owner and self._owners() == {name}:
                raise ConflictError(
                    "the last owner stays one", item=f"user {name}", hint="make somebody else an owner first"
                )
            connection.execute(sa.update(_table).where(_table.c.name == name).values(**values))
            detail = {key: value for key, value in values.items() if key == "role"}
            write_audit(connection, self.actor, action, name, detail)
        return self.user(name)


def _user(row: Any) -> User:
    return User(row.name, Role(row.role), row.active, row.password is not None, row.created_at)
