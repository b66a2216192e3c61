"""`curate users`: who works on the project, and what they may do."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from curate.cli.common import (
    JsonOption,
    ProjectOption,
    console,
    emit_json,
    example,
    open_project,
    print_table,
)
from curate.store import Role, Store

__all__ = ["register"]

NameArgument = Annotated[str, typer.Argument(help="Name; for sign-in by OIDC the address that it tells.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    users = typer.Typer(
        no_args_is_help=True,
        help="People and roles. Without any the project is its folder's owner's, on this machine only.",
    )
    users.command(epilog=example("curate users add ann --role owner"))(add)
    users.command("list", epilog=example("curate users list"))(list_users)
    users.command(epilog=example("curate users role bob reviewer"))(role)
    users.command(epilog=example("curate users password ann"))(password)
    users.command(epilog=example("curate users remove bob"))(remove)
    app.add_typer(users, name="users")


def _owned(project: Path) -> Store:
    opened = open_project(project)
    opened.expect_role(Role.OWNER)
    return opened.store


def add(
    name: NameArgument,
    role: Annotated[
        Role, typer.Option(help="viewer looks, reviewer decides, owner manages.")
    ] = Role.REVIEWER,
    oidc: Annotated[bool, typer.Option("--oidc", help="No password here: signs in elsewhere.")] = False,
    project: ProjectOption = Path(),
) -> None:
    """Add somebody; the first has to be an owner. CROSSGUARD_PASSWORD, or a prompt, gives the password."""
    from curate.workflows.people import add_user, ask_password

    store = _owned(project)
    user = add_user(store, name, role, None if oidc else ask_password())
    console.print(f"{user.name} is {user.role.value}", markup=False)


def list_users(project: ProjectOption = Path(), as_json: JsonOption = False) -> None:
    """List everybody."""
    found = open_project(project).store.users()
    if as_json:
        emit_json(found)
        return
    rows = [
        [
            user.name,
            user.role.value,
            "" if user.active else "removed",
            "password" if user.has_password else "OIDC",
            datetime.fromtimestamp(user.created_at, UTC).strftime("%Y-%m-%d"),
        ]
        for user in found
    ]
    print_table("users", ["name", "role", "", "signs in with", "since"], rows)


def role(
    name: NameArgument,
    new: Annotated[Role, typer.Argument(help="viewer, reviewer or owner.")],
    project: ProjectOption = Path(),
) -> None:
    """Give somebody another role."""
    user = _owned(project).set_role(name, new)
    console.print(f"{user.name} is {user.role.value}", markup=False)


def password(name: NameArgument, project: ProjectOption = Path()) -> None:
    """Give somebody another password; everybody may change their own."""
    from curate.workflows.people import ask_password, set_password

    store = open_project(project).store
    if store.actor != name:
        store.expect_role(store.actor, Role.OWNER)
    set_password(store, name, ask_password())
    console.print(f"{name} has a new password", markup=False)


def remove(name: NameArgument, project: ProjectOption = Path()) -> None:
    """Let somebody in no more; what they did stays theirs."""
    _owned(project).remove_user(name)
    console.print(f"{name} was removed", markup=False)
