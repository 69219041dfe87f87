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
) -> dict[str, dict[str, Any]]:
    """What click calls a default map: options by command.

    ``verbs`` are all commands that there are; the options of those in ``commands`` are checked, and name
    the keys that may stand outside tables.
    """
    tables = {key: value for key, value in content.items() if isinstance(value, Mapping)}
    general = {_name(key): value for key, value in content.items() if key not in tables}
    known = sorted({option for command in commands.values() for option in _options(command)})
    _only_known(path, general, known)
    _only_known(path, tables, verbs)
    defaults = {}
    for verb in verbs:
        own = {_name(key): value for key, value in tables.get(verb, {}).items()}
        command = commands.get(verb)
        if command is None:
            defaults[verb] = general | own
            continue
        options = _options(command)
        _only_known(path, own, options, table=verb)
        defaults[verb] = {key: value for key, value in general.items() if key in options} | own
        for key, value in defaults[verb].items():
            _check(path, command, options[key], value)
    return defaults


def _options(command: click.Command) -> dict[str, click.Parameter | None]:
    """What may be set for a command: its options, and the commands in it if it is a group."""
    found: dict[str, click.Parameter | None] = {
        parameter.name: parameter
        for parameter in command.params
        if isinstance(parameter, click.Option) and parameter.name and parameter.expose_value
    }
    if isinstance(command, click.Group):
        found |= {_name(name): None for name in command.commands}
    return found


def _name(key: str) -> str:
    return key.replace("-", "_")


def _only_known(path: Path, given: Collection[str], known: Collection[str], table: str = "") -> None:
    where = f"[{table}] in {path}" if table else str(path)
    for key in given:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(known))}"
            raise click.UsageError(f"{where}: unknown key {key!r}; {hint}")


def _check(path: Path, command: click.Command, option: click.Parameter | None, value: Any) -> None:
    if option is None:
        return
    try:
        option.type_cast_value(click.Context(command), value)
    except click.BadParameter as error:
        raise click.UsageError(f"{path}: {option.name}: {error.message}") from error
