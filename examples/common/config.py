# Copyright (c) torchmultimodal_reid contributors.
# All rights reserved.
#
# This source code is licensed under the BSD-style license found in the
# LICENSE file in the root directory of this source tree.

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import (
    Any,
    get_origin,
    get_type_hints,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Type,
    TypeVar,
    Union,
)

import yaml
from examples.common.config_help import describe
from examples.common.config_merge import (
    ConfigError,
    first_line,
    merge_argument,
    merge_file,
    without_optional,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torchmultimodal_reid.utils.atomic import write_file_atomically

CONFIG_FILE = "config.yaml"
ConfigT = TypeVar("ConfigT")


class CommandLine(NamedTuple):
    config_path: Optional[
        Path
    ]  # the file that was read, from --config or the resumed run
    resume: Optional[Path]  # the run to go on with
    overrides: Tuple[str, ...]  # "key=value" as given


def load_config(
    schema: Type[ConfigT],
    argv: Optional[Sequence[str]] = None,
    *,
    prog: Optional[str] = None,
    description: Optional[str] = None,
) -> Tuple[ConfigT, CommandLine]:
    """Reads ``--config FILE.yaml [--resume DIR] [key=value ...]`` into a typed configuration.

    Defaults come from the dataclass, then the file, then the arguments. ``--resume DIR`` without ``--config`` reads the
    configuration that the run was started with. ``--help`` prints every key with its type, default and comment.

    Args:
        schema (Type[ConfigT]): A dataclass, possibly of dataclasses. A field without a default has to be given.
            ``metadata={"help": "..."}`` or the comment beside it describes it. ``metadata={"unless": ("key", ...)}``
            with the default ``"???"`` has to be given unless one of the keys beside it is.
        argv (Optional[Sequence[str]]): The arguments. Default: ``None``, for the program's
        prog (Optional[str]): How the program is called, for ``--help``. Default: ``None``
        description (Optional[str]): What it does, for ``--help``. Default: ``None``

    Raises:
        ConfigError: If a key is unknown, a value is of the wrong type, a key is given twice in a file or is missing.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = _parse(schema, argv, prog, description)
    config = _structured(schema)
    if command.config_path is not None:
        merge_file(config, schema, command.config_path)
    for argument in command.overrides:
        merge_argument(config, schema, argument)
    try:
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{error.full_key}: {first_line(error)}") from error
    _fill_unneeded(config, schema)
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        where = f"in {command.config_path} or " if command.config_path else ""
        raise ConfigError(
            f"missing: {', '.join(missing)}. Give each {where}as an argument: {missing[0]}=VALUE"
        )
    return _build(schema, OmegaConf.to_container(config)), command


def save_config(config: Any, path: Union[str, Path]) -> None:
    """Writes a configuration as YAML that :func:`load_config` reads back to an equal one."""
    write_file_atomically(
        path, yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
    )


def to_plain(value: Any) -> Any:
    """A configuration as what JSON and YAML can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _parse(
    schema: Type[Any],
    argv: Sequence[str],
    prog: Optional[str],
    description: Optional[str],
) -> CommandLine:
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="keys, their types and defaults:\n" + describe(schema),
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE.yaml",
        help="the configuration; defaults are built in",
    )
    parser.add_argument(
        "--resume",
        type=Path,
        metavar="DIR",
        help="the run to go on with, from its last checkpoint; its own configuration is read",
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="overrides, such as optimizer.lr=1e-4",
    )
    arguments = parser.parse_intermixed_args(list(argv))
    path = arguments.config
    if path is None and arguments.resume is not None:
        path = arguments.resume / CONFIG_FILE
    return CommandLine(path, arguments.resume, tuple(arguments.overrides))


def _structured(schema: Type[Any]) -> DictConfig:
    """OmegaConf's form of a schema, in which a nested dataclass that has no default can be filled key by key."""
    config: DictConfig = OmegaConf.structured(schema)
    for name, hint in get_type_hints(schema).items():
        if dataclasses.is_dataclass(hint) and OmegaConf.is_missing(config, name):
            config[name] = _structured(hint)  # type: ignore[arg-type]
    return config


def _fill_unneeded(config: DictConfig, schema: Type[Any]) -> None:
    """Empties keys that had to be given, had not another one been: ``metadata={"unless": ("the other",)}``."""
    hints = get_type_hints(schema)
    for field in dataclasses.fields(schema):
        hint = without_optional(hints[field.name])
        if OmegaConf.is_missing(config, field.name):
            others = field.metadata.get("unless", ())
            if any(config[other] is not None for other in others):
                config[field.name] = ""
        elif dataclasses.is_dataclass(hint) and config[field.name] is not None:
            _fill_unneeded(config[field.name], hint)  # type: ignore[arg-type]


def _build(schema: Type[ConfigT], plain: Any) -> ConfigT:
    hints = get_type_hints(schema)
    values = {}
    for field in dataclasses.fields(schema):  # type: ignore[arg-type]
        value = plain[field.name]
        hint = without_optional(hints[field.name])
        if dataclasses.is_dataclass(hint) and isinstance(value, dict):
            value = _build(hint, value)  # type: ignore[arg-type]
        elif get_origin(hint) is tuple and isinstance(value, list):
            value = tuple(value)
        values[field.name] = value
    return schema(**values)
