# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import argparse
import dataclasses
import difflib
import sys
from pathlib import Path
from typing import (
    Any,
    Dict,
    get_args,
    get_origin,
    get_type_hints,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from examples.common.config_help import describe, type_name
from torchmultimodal_reid.utils.atomic import write_file_atomically

CONFIG_FILE = "config.yaml"
ConfigT = TypeVar("ConfigT")


class ConfigError(ValueError):
    """A configuration is wrong. The message names the file and line or the argument."""


class CommandLine(NamedTuple):
    config_path: Optional[Path]  # the file that was read, from --config or the resumed run
    resume: Optional[Path]  # the run to go on with
    overrides: Tuple[str, ...]  # "key=value" as given


def load_config(
    schema: Type[ConfigT], argv: Optional[Sequence[str]] = None, *, prog: Optional[str] = None
) -> Tuple[ConfigT, CommandLine]:
    """Reads ``--config FILE.yaml [--resume DIR] [key=value ...]`` into a typed configuration.

    Defaults come from the dataclass, then the file, then the arguments. ``--resume DIR`` without ``--config`` reads the
    configuration that the run was started with. ``--help`` prints every key with its type, default and comment.

    Args:
        schema (Type[ConfigT]): A dataclass, possibly of dataclasses. A field without a default has to be given.
            ``metadata={"help": "..."}`` or the comment beside it describes it.
        argv (Optional[Sequence[str]]): The arguments. Default: ``None``, for the program's
        prog (Optional[str]): How the program is called, for ``--help``. Default: ``None``

    Raises:
        ConfigError: If a key is unknown, a value is of the wrong type, a key is given twice in a file or is missing.
    """
    command = _parse(schema, sys.argv[1:] if argv is None else argv, prog)
    config = OmegaConf.structured(schema)
    if command.config_path is not None:
        _merge_file(config, schema, command.config_path)
    for argument in command.overrides:
        _merge_argument(config, schema, argument)
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {_first_line(error)}") from error
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        where = f"in {command.config_path} or " if command.config_path else ""
        raise ConfigError(f"missing: {', '.join(missing)}. Give each {where}as an argument: {missing[0]}=VALUE")
    return _build(schema, OmegaConf.to_container(config)), command


def save_config(config: Any, path: Union[str, Path]) -> None:
    """Writes a configuration as YAML that :func:`load_config` reads back to an equal one."""
    write_file_atomically(path, yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True))


def to_plain(value: Any) -> Any:
    """A configuration as what JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _parse(schema: Type[Any], argv: Sequence[str], prog: Optional[str]) -> CommandLine:
    parser = argparse.ArgumentParser(
        prog=prog,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="keys, their types and defaults:\n" + describe(schema),
    )
    parser.add_argument("--config", type=Path, metavar="FILE.yaml", help="the configuration; defaults are built in")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="the run to go on with, from its last checkpoint")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="overrides, such as optimizer.lr=1e-4")
    arguments = parser.parse_intermixed_args(list(argv))
    path = arguments.config
    if path is None and arguments.resume is not None:
        path = arguments.resume / CONFIG_FILE
    return CommandLine(path, arguments.resume, tuple(arguments.overrides))


def _merge_file(config: DictConfig, schema: Type[Any], path: Path) -> None:
    if not path.is_file():
        raise ConfigError(f"expected a configuration at {path}, but there is no such file")
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if node is None:
        return
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{path}:{_line(node)}: expected lines of 'key: value', got {_text(node)}")
    _merge(config, schema, node, "", lambda at: f"{path}:{_line(at)}")


def _merge_argument(config: DictConfig, schema: Type[Any], argument: str) -> None:
    key, equals, text = argument.partition("=")
    if not equals or not key:
        raise ConfigError(f"argument {argument!r}: expected key=value")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader) or yaml.ScalarNode("tag:yaml.org,2002:str", "")
    except yaml.YAMLError as error:
        raise ConfigError(f"argument {argument!r}: the value is not YAML: {' '.join(str(error).split())}") from error
    for part in reversed(key.split(".")):
        node = yaml.MappingNode("tag:yaml.org,2002:map", [(yaml.ScalarNode("tag:yaml.org,2002:str", part), node)])
    _merge(config, schema, node, "", lambda at: f"argument {argument!r}")


def _merge(config: DictConfig, schema: Any, node: yaml.MappingNode, prefix: str, where: Any) -> None:
    """Sets each value of a YAML mapping, so that whatever is wrong is known by its key and its place."""
    hints = get_type_hints(schema) if dataclasses.is_dataclass(schema) else None
    seen: Dict[str, yaml.Node] = {}
    for key_node, value in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise ConfigError(f"{where(key_node)}: expected a name before ':', got {_text(key_node)}")
        name = key_node.value
        key = f"{prefix}{name}"
        if name in seen:
            raise ConfigError(f"{where(key_node)}: {key} is given a second time, after line {_line(seen[name])}")
        seen[name] = key_node
        if hints is not None and name not in hints:
            raise ConfigError(f"{where(key_node)}: unknown key {key}.{_nearest(name, list(hints), prefix)}")
        hint = _without_optional(hints[name] if hints is not None else _value_type(schema))
        if isinstance(value, yaml.MappingNode) and (dataclasses.is_dataclass(hint) or get_origin(hint) is dict):
            _merge(config, hint, value, f"{key}.", where)
            continue
        try:
            OmegaConf.update(config, key, _value(value, hint), force_add=hints is None)
        except (OmegaConfBaseException, yaml.YAMLError) as error:
            raise ConfigError(
                f"{where(value)}: {key} = {_text(value)} does not fit its type {type_name(hint)}: {_first_line(error)}"
            ) from error


def _value(node: yaml.Node, hint: Any) -> Any:
    # "0002" and "1e-3" are texts where a text is asked for
    if isinstance(node, yaml.ScalarNode) and hint is str and not node.tag.endswith(":null"):
        return node.value
    loader = yaml.SafeLoader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _build(schema: Type[ConfigT], plain: Any) -> ConfigT:
    hints = get_type_hints(schema)
    values = {}
    for field in dataclasses.fields(schema):  # type: ignore[arg-type]
        value = plain[field.name]
        hint = _without_optional(hints[field.name])
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            value = _build(hint, value)  # type: ignore[arg-type]
        elif get_origin(hint) is tuple and isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return schema(**values)


def _without_optional(hint: Any) -> Any:
    options = [option for option in get_args(hint) if option is not type(None)]
    return options[0] if get_origin(hint) is Union and len(options) == 1 else hint


def _value_type(hint: Any) -> Any:
    return get_args(hint)[1] if len(get_args(hint)) == 2 else Any


def _nearest(name: str, known: List[str], prefix: str) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {prefix}{close[0]}?" if close else f" Known: {', '.join(prefix + key for key in known)}"


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 0


def _text(node: yaml.Node) -> str:
    return repr(node.value) if isinstance(node, yaml.ScalarNode) else str(_value(node, None))


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
