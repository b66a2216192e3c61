"""What YAML of a stranger may do before anything is built of it: few lines can become gigabytes or take hours."""

from __future__ import annotations

import yaml

__all__ = ["MAX_DEPTH", "yaml_danger"]

MAX_DEPTH = 64
_OPENING = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_CLOSING = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def yaml_danger(text: str) -> tuple[str, int] | None:
    """What is dangerous about a text, and the line of it; None when nothing is.

    Aliases multiply values ("a billion laughs"), deep nesting makes the parser's time grow with its square.

    Raises:
        yaml.YAMLError: It is no YAML.
    """
    depth = 0
    for token in yaml.scan(text):
        line = token.start_mark.line + 1
        if isinstance(token, yaml.AliasToken):
            return "YAML aliases are not allowed here", line
        depth += isinstance(token, _OPENING)
        depth -= isinstance(token, _CLOSING)
        if depth > MAX_DEPTH:
            return f"nested deeper than {MAX_DEPTH} levels", line
    return None
