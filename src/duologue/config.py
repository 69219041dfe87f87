"""Options from a TOML file.

    model = "pocket"               # for every command that has such an option
    allow-origin = ["https://talk.example.org"]

    [serve]                        # for this command only
    port = 9000

A flag on the command line comes before an environment variable, that before the file, that before the
built-in default. A key that no command knows, or a value that its option does not take, is an error.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import click

DEFAULT = Path("duologue.toml")
"""Read from the working directory if it is there."""


def read(path: Path) -> dict[str, Any]:
    """The file's content; raises :class:`click.UsageError` if it cannot be read or is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{path} is not valid TOML: {error}") from error


def default_map(
    path: Path, content: Mapping[str, Any], verbs: Collection[str], commands: Mapping[str, click.Command]
) -> dict[str, Any]:
    """What click calls a default map: values by command and option.

    ``verbs`` are all commands that there are. Those in ``commands`` may be run now: their options are
    checked, and are what may stand outside tables. Raises :class:`click.UsageError`.
    """
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    general = {key: value for key, value in content.items() if key not in tables}
    shared = [flag for command in commands.values() for flag in _options(command)]
    _only_known(str(path), general, shared)
    _only_known(str(path), tables, verbs)
    return {
        verb: _values(f"[{verb}] in {path}", command, general, tables.get(verb, {}))
        for verb, command in commands.items()
    }


def flag(option: click.Option) -> str:
    """An option's name as people write it, with ``_``: ``allow_origin`` for ``--allow-origin``."""
    longest = max(option.opts, key=len)
    return _underscored(longest.lstrip("-"))


def _values(where: str, command: click.Command, general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The default map of one command; of a group, those of the commands in it (from their own tables only)."""
    if isinstance(command, click.Group):
        _only_known(where, own, command.commands)
        return {name: _values(f"[{name}] of {where}", command.commands[name], {}, table) for name, table in own.items()}
    options = _options(command)
    _only_known(where, own, options)
    given = {_underscored(key): value for key, value in general.items() if _underscored(key) in options}
    given |= {_underscored(key): value for key, value in own.items()}
    for key, value in given.items():
        try:
            options[key].type_cast_value(click.Context(command), value)
        except click.BadParameter as error:
            raise click.UsageError(f"{where}: {key}: {error.message}") from error
    return {str(options[key].name): value for key, value in given.items()}


def _options(command: click.Command) -> dict[str, click.Option]:
    """The options of a command that a file may set, by flag."""
    options = (each for each in command.params if isinstance(each, click.Option) and each.expose_value)
    return {flag(option): option for option in options}


def _underscored(key: str) -> str:
    return key.replace("-", "_")


def _only_known(where: str, given: Collection[str], known: Collection[str]) -> None:
    for key in given:
        if _underscored(key) not in known:
            close = difflib.get_close_matches(_underscored(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(set(known)))}"
            raise click.UsageError(f"{where}: unknown key {key!r}; {hint}")
