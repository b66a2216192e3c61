"""Reading site.yaml: every error names the line, the key and what is allowed there."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from curate.config.schema import SiteConfig
from curate.config.yaml_check import yaml_danger
from curate.errors import ConfigError

__all__ = ["MAX_BYTES", "load_site", "parse_site"]

MAX_BYTES = 1_000_000
"""A larger site.yaml is refused unread: no declaration is that long."""

_PLAIN_TAGS = {"map", "seq", "str", "int", "float", "bool", "null", "timestamp"}

_KEY = re.compile(r"`([a-z_.]+)`")

KeyPath = tuple[str | int, ...]


def load_site(path: str | Path) -> SiteConfig:
    """Read and validate a site.yaml.

    Raises:
        ConfigError: It is missing, unreadable, not YAML, or breaks the schema.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ConfigError(f"expected at most {MAX_BYTES} bytes, got {size}", file=path)
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError("there is no such file", file=path, hint="create one with `curate init`") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as UTF-8 text: {error}", file=path) from error
    return parse_site(text, file=path)


def parse_site(text: str, *, file: object = "site.yaml") -> SiteConfig:
    """Validate the text of a site.yaml.

    Raises:
        ConfigError: Not YAML, or it breaks the schema; names line and key.
    """
    try:
        danger = yaml_danger(text)
        if danger is not None:
            raise ConfigError(danger[0], file=file, item=f"line {danger[1]}", hint="write the value out")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}" if mark else None
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"this is not valid YAML: {problem}", file=file, item=line) from error
    except RecursionError as error:
        raise ConfigError("nested too deeply to be a declaration", file=file) from error
    if node is None:
        raise ConfigError("the file is empty", file=file, hint="at least `classes: [person, car]` is needed")
    lines: dict[KeyPath, int] = {}
    data = _build(node, (), lines, file)
    if not isinstance(data, dict):
        raise ConfigError("expected keys and values at the top level", file=file, item="line 1")
    try:
        return SiteConfig.model_validate(data)
    except ValidationError as error:
        raise _explain(error, lines, file) from error


def _build(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], file: object) -> Any:
    """Plain values from a YAML node, noting the line of each key and refusing a key given twice."""
    lines[path] = node.start_mark.line + 1
    if node.tag.removeprefix("tag:yaml.org,2002:") not in _PLAIN_TAGS:
        raise ConfigError(
            f"the YAML tag {node.tag!r} is not allowed here", file=file, item=f"line {lines[path]}"
        )
    if isinstance(node, yaml.MappingNode):
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in result:
                raise ConfigError(
                    f"the key `{key}` is given twice",
                    file=file,
                    item=f"line {line}",
                    hint="remove one of them",
                )
            result[key] = _build(value_node, (*path, key), lines, file)
            lines[(*path, key)] = line
        return result
    if isinstance(node, yaml.SequenceNode):
        return [_build(child, (*path, i), lines, file) for i, child in enumerate(node.value)]
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_object(node)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(
            f"cannot read this value: {error}", file=file, item=f"line {lines[path]}"
        ) from error


def _explain(error: ValidationError, lines: dict[KeyPath, int], file: object) -> ConfigError:
    """The first problem in the order of the file, as one sentence."""
    problems = []
    for entry in error.errors(include_url=False):
        # pydantic puts the names of its own wrappers ("function-after[...]") between the keys; an unknown key is last.
        *before, last = entry["loc"] or ("",)
        unknown = entry["type"] == "extra_forbidden"
        path = tuple(part for part in before if not isinstance(part, str) or "[" not in part)
        path += (last,) if unknown or (last != "" and "[" not in str(last)) else ()
        known = path or _named(entry["msg"])
        while known and known not in lines:
            known = known[:-1]
        problems.append((lines.get(known, 1), path, entry))
    line, path, entry = min(problems, key=lambda problem: problem[0])
    dotted = ".".join(str(part) for part in path)
    kind = entry["type"]
    hint = ""
    if kind == "extra_forbidden":
        allowed = _allowed_keys(path[:-1])
        close = difflib.get_close_matches(str(path[-1]), allowed, n=1)
        message = f"unknown key `{dotted}`"
        hint = (f"did you mean `{close[0]}`? " if close else "") + f"allowed: {', '.join(allowed)}"
    elif kind == "missing":
        message = f"the key `{dotted}` is missing"
        hint = "for example `classes: [person, car]`" if dotted == "classes" else ""
    else:
        reason = str(entry["msg"]).removeprefix("Value error, ")
        # What concerns several keys names them itself, and would be given the whole file as what it got.
        message = (
            f"`{dotted}`: {reason[0].lower() + reason[1:]}, got {entry['input']!r:.80}" if path else reason
        )
    more = len(problems) - 1
    if more:
        hint = f"{hint}; {more} more below" if hint else f"{more} more below"
    return ConfigError(message, file=file, item=f"line {line}", hint=hint)


def _named(message: str) -> KeyPath:
    """The first key that a message names."""
    found = _KEY.search(message)
    return tuple(found[1].split(".")) if found else ()


def _allowed_keys(path: KeyPath) -> list[str]:
    model: type[BaseModel] = SiteConfig
    for part in path:
        if isinstance(part, int):
            continue
        annotation: Any = model.model_fields[part].annotation
        for candidate in (annotation, *getattr(annotation, "__args__", ())):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)
