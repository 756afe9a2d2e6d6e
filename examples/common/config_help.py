# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import ast
import dataclasses
import inspect
import io
import textwrap
import tokenize
from typing import (
    Any,
    Dict,
    get_args,
    get_origin,
    get_type_hints,
    Iterator,
    List,
    Tuple,
    Type,
    Union,
)


def describe(schema: Type[Any]) -> str:
    """One line for each key of a configuration: its type, its default, its comment."""
    rows = list(_rows(schema, ""))
    width = max((len(left) for left, _ in rows), default=0)
    return "\n".join(
        f"  {left:<{min(width, 56)}}  {text}".rstrip() for left, text in rows
    )


def type_name(hint: Any) -> str:
    """How a type is written, without its module: ``Optional[float]``, ``Tuple[int, int]``."""
    arguments = get_args(hint)
    if get_origin(hint) is Union and type(None) in arguments:
        rest = [
            type_name(argument) for argument in arguments if argument is not type(None)
        ]
        return f"Optional[{', '.join(rest)}]"
    return (
        hint.__name__
        if isinstance(hint, type) and not arguments
        else str(hint).replace("typing.", "")
    )


def _rows(schema: Type[Any], prefix: str) -> Iterator[Tuple[str, str]]:
    hints = get_type_hints(schema)
    comments = _comments(schema)
    for field in dataclasses.fields(schema):
        hint = hints[field.name]
        key = prefix + field.name
        text = field.metadata.get("help", comments.get(field.name, ""))
        if dataclasses.is_dataclass(hint):
            yield "", ""
            yield f"{key}:", text
            yield from _rows(hint, f"{key}.")  # type: ignore[arg-type]
        elif get_origin(hint) is dict and _known_names(field):
            # one is set by its name, losses.mim=0.5
            yield f"{key}:", text
            for name, value in _known_names(field).items():
                yield f"{key}.{name}: {type_name(get_args(hint)[1])} = {value}", ""
        else:
            yield f"{key}: {type_name(hint)}{_default(field)}", text


def _known_names(field: "dataclasses.Field[Any]") -> Dict[str, Any]:
    factory = field.default_factory
    return {} if factory is dataclasses.MISSING else factory()


def _default(field: "dataclasses.Field[Any]") -> str:
    default = field.default
    if (
        default is dataclasses.MISSING
        and field.default_factory is not dataclasses.MISSING
    ):
        default = field.default_factory()
    return (
        " (must be given)"
        if default is dataclasses.MISSING or default == "???"
        else f" = {default}"
    )


def _comments(schema: Type[Any]) -> Dict[str, str]:
    """The comment beside each field, or else the lines of comment above it."""
    try:
        source = textwrap.dedent(inspect.getsource(schema))
    except (OSError, TypeError):
        return {}
    beside: Dict[int, str] = {}
    above: Dict[int, str] = {}
    lines = source.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = not lines[token.start[0] - 1][: token.start[1]].strip()
            (above if alone else beside)[token.start[0]] = token.string.lstrip(
                "# "
            ).strip()
    found: Dict[str, str] = {}
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            last = node.end_lineno or node.lineno
            text = [beside[i] for i in range(node.lineno, last + 1) if i in beside]
            found[node.target.id] = " ".join(text or _block(above, node.lineno - 1))
    return found


def _block(above: Dict[int, str], line: int) -> List[str]:
    """The unbroken lines of comment that end at a line."""
    return [*_block(above, line - 1), above[line]] if line in above else []
