"""Changing one value of a site.yaml in its text: comments, order and everything else stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from curate.config.load import parse_site
from curate.errors import ConfigError

__all__ = ["with_policy_regions"]

_POLICY = "policy"

Region = Sequence[tuple[float, float]]


def with_policy_regions(text: str, key: str, regions: Sequence[Region], *, file: object = "site.yaml") -> str:
    """The text of a site.yaml with other polygons under `policy.<key>`.

    Args:
        text: A valid site.yaml.
        key: "ignore_regions" or "far_zone".
        regions: Polygons in pixels, written with one decimal; an empty list is written as `[]`.
        file: Named in errors.

    Raises:
        ConfigError: The text is not a valid declaration, a region is not allowed, or the text is laid out in a
            way that cannot be changed by machine.
    """
    before = parse_site(text, file=file)
    value = _flow(regions)
    changed = _replaced(text, key, value)
    after = parse_site(changed, file=file)
    policy = before.policy.model_copy(update={key: _points(regions)})
    if after != before.model_copy(update={_POLICY: policy}):
        raise ConfigError(
            f"`{_POLICY}.{key}` could not be changed without touching something else",
            file=file,
            hint=f"write it by hand: `{key}: {value}`",
        )
    return changed


def _points(regions: Sequence[Region]) -> list[list[tuple[float, float]]]:
    return [[(_number(x), _number(y)) for x, y in region] for region in regions]


def _number(value: float) -> float:
    return round(float(value), 1)


def _flow(regions: Sequence[Region]) -> str:
    rings = (", ".join(f"[{x!r}, {y!r}]" for x, y in region) for region in _points(regions))
    return f"[{', '.join(f'[{ring}]' for ring in rings)}]"


def _replaced(text: str, key: str, value: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return text
    entry = _find(root, _POLICY)
    if entry is None:
        gap = "" if text.endswith("\n") else "\n"
        return f"{text}{gap}\n{_POLICY}:\n  {key}: {value}\n"
    policy = entry[1]
    if not isinstance(policy, yaml.MappingNode):
        return text
    known = _find(policy, key)
    if known is not None:
        start, end = known[0].start_mark.index, _end(known[1])
        return f"{text[:start]}{key}: {value}{text[end:]}"
    if not policy.value:
        start, end = policy.start_mark.index, policy.end_mark.index
        return f"{text[:start]}{{{key}: {value}}}{text[end:]}"
    first = policy.value[0][0].start_mark
    if policy.flow_style:
        return f"{text[: first.index]}{key}: {value}, {text[first.index :]}"
    return f"{text[: first.index]}{key}: {value}\n{' ' * first.column}{text[first.index :]}"


def _find(node: yaml.MappingNode, name: str) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((key, value) for key, value in node.value if key.value == name), None)


def _end(node: yaml.Node) -> int:
    """Where a value ends: a block list's own end mark lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)
