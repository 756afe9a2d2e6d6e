# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import dataclasses
import difflib
from pathlib import Path
from typing import (
    Any,
    Callable,
    Dict,
    get_args,
    get_origin,
    get_type_hints,
    List,
    Type,
    Union,
)

import yaml
from examples.common.config_help import type_name
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

_STR = "tag:yaml.org,2002:str"
_MAP = "tag:yaml.org,2002:map"

Where = Callable[[yaml.Node], str]


class ConfigError(ValueError):
    """A configuration is wrong. The message names the file and line or the argument."""


def merge_file(config: DictConfig, schema: Type[Any], path: Path) -> None:
    """Merges a YAML file into a structured configuration.

    Raises:
        ConfigError: With the file, the line and the key that is wrong.
    """
    if not path.is_file():
        raise ConfigError(
            f"expected a configuration at {path}, but there is no such file"
        )
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} is not YAML: {' '.join(str(error).split())}"
        ) from error
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            f"{path}:{_line(node)}: expected lines of 'key: value', got {_text(node)}"
        )
    _merge(config, schema, node, "", lambda at: f"{path}:{_line(at)}")


def merge_argument(config: DictConfig, schema: Type[Any], argument: str) -> None:
    """Merges an argument such as ``optimizer.lr=1e-4`` into a structured configuration.

    Raises:
        ConfigError: With the argument and the key that is wrong.
    """
    key, equals, text = argument.partition("=")
    if not equals or not key:
        raise ConfigError(f"argument {argument!r}: expected key=value")
    try:
        node: yaml.Node = yaml.compose(text, Loader=yaml.SafeLoader) or yaml.ScalarNode(
            _STR, ""
        )
    except yaml.YAMLError as error:
        raise ConfigError(
            f"argument {argument!r}: the value is not YAML: {' '.join(str(error).split())}"
        ) from error
    for part in reversed(key.split(".")):
        node = yaml.MappingNode(
            _MAP,
            [(yaml.ScalarNode(_STR, part), node)],
        )
    assert isinstance(node, yaml.MappingNode)  # a key has at least one part
    _merge(config, schema, node, "", lambda at: f"argument {argument!r}")


def _merge(
    config: DictConfig, schema: Any, node: yaml.MappingNode, prefix: str, where: Where
) -> None:
    """Sets each value of a YAML mapping, so that whatever is wrong is known by its key and its place."""
    hints = get_type_hints(schema) if dataclasses.is_dataclass(schema) else None
    seen: Dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(
                f"{where(key_node)}: expected a name before ':', got {_text(key_node)}"
            )
        name = key_node.value
        key = f"{prefix}{name}"
        if name in seen:
            raise ConfigError(
                f"{where(key_node)}: {key} is given a second time, after line {_line(seen[name])}"
            )
        seen[name] = key_node
        if hints is not None and name not in hints:
            raise ConfigError(
                f"{where(key_node)}: unknown key {key}.{_nearest(name, list(hints), prefix)}"
            )
        hint = without_optional(
            hints[name] if hints is not None else _value_type(schema)
        )
        if isinstance(value, yaml.MappingNode) and (
            dataclasses.is_dataclass(hint) or get_origin(hint) is dict
        ):
            _merge(config, hint, value, f"{key}.", where)
            continue
        try:
            OmegaConf.update(config, key, _value(value, hint), force_add=hints is None)
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise ConfigError(
                f"{where(value)}: {key} = {_text(value)} does not fit its type {type_name(hint)}: {first_line(error)}"
            ) from error


def _value(node: yaml.Node, hint: Any) -> Any:
    # "0002" and "1e-3" are texts where a text is asked for
    if (
        isinstance(node, yaml.ScalarNode)
        and hint is str
        and not node.tag.endswith(":null")
    ):
        return node.value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def without_optional(hint: Any) -> Any:
    options = [option for option in get_args(hint) if option is not type(None)]
    return options[0] if get_origin(hint) is Union and len(options) == 1 else hint


def _value_type(hint: Any) -> Any:
    return get_args(hint)[1] if len(get_args(hint)) == 2 else Any


def _nearest(name: str, known: List[str], prefix: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return (
        f" Did you mean {prefix}{close[0]}?"
        if close
        else f" Known: {', '.join(prefix + key for key in known)}"
    )


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


def _text(node: yaml.Node) -> str:
    return (
        repr(node.value)
        if isinstance(node, yaml.ScalarNode)
        else str(_value(node, None))
    )


def first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
