"""The commands. Each is a thin call; what it needs is imported when it runs, so that ``--help`` is quick."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from duologue import __version__, config
from duologue.options import brain_options, model_options

if TYPE_CHECKING:
    from duologue.backends import ModelOptions
    from duologue.server.options import ServerOptions

F = TypeVar("F", bound=Callable[..., Any])

ELSEWHERE = {
    "ask": ("duologue.measure.cli", "Ask with WAV files, hear and read the answers."),
    "bench": ("duologue.measure.cli", "Measure latency, interruption, understanding, footprint, engines."),
    "models": ("duologue.measure.models", "The systems, and the figures people compare them by."),
    "verify": ("duologue.measure.models", "Compare our numbers with the reference implementations'."),
    "manifest": ("duologue.measure.models", "List the tensors that a system loads."),
    "tiny": ("duologue.measure.models", "Write a small random checkpoint in a published layout."),
}
"""Commands made in other rooms: the module that has each under its name, and what ``--help`` says of it."""

MANY = 16
"""Sessions where nobody says how many."""


class Verbs(click.Group):
    """The group of all commands; those of other rooms are imported only when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *ELSEWHERE]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module, _ = ELSEWHERE[cmd_name]
        command: click.Command = getattr(importlib.import_module(module), cmd_name)
        return command if cmd_name == "bench" else _from_environment(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, command.get_short_help_str(70)) for name, command in self.commands.items()]
        rows += [(name, help_text) for name, (_, help_text) in ELSEWHERE.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def lead(value: str | int) -> int | None:
    """Milliseconds ahead of real time, or ``off``."""
    if value == "off":
        return None
    if not str(value).isdecimal() or int(value) > 10_000:
        raise click.BadParameter(f"{value!r} is neither 0 to 10000 (milliseconds) nor off")
    return int(value)


@click.group(
    cls=Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "DUOLOGUE"},
)
@click.version_option(__version__, prog_name="duologue", message="%(prog)s %(version)s")
@click.option(
    "--config",
    "config_file",
    envvar="DUOLOGUE_CONFIG",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"TOML file with options.  [default: {config.DEFAULT} if it is there]",
)
@click.pass_context
def main(ctx: click.Context, config_file: Path | None) -> None:
    """Talk with an open speech LLM, full duplex.

    Every option can also be set by an environment variable (DUOLOGUE_PORT for --port) or in a TOML file.
    """
    if config_file is None and config.DEFAULT.is_file():
        config_file = config.DEFAULT
    if config_file is not None:
        _use(config_file, ctx, ctx.invoked_subcommand)


def _use(path: Path, ctx: click.Context, invoked: str | None) -> None:
    """Let the commands under ``ctx`` take what they are not told from ``path``."""
    verbs = main.list_commands(ctx)
    commands = {name: main.commands[name] for name in main.commands}
    if invoked in ELSEWHERE:
        command = main.get_command(ctx, invoked)
        assert command is not None
        commands[invoked] = command
    ctx.default_map = config.default_map(path, config.read(path), verbs, commands)


def _own_config(ctx: click.Context, param: click.Parameter, path: Path | None) -> None:
    """``--config`` after the command's name instead of before it."""
    if path is not None:
        assert ctx.parent is not None
        assert ctx.info_name is not None
        _use(path, ctx.parent, None)
        ctx.default_map = (ctx.parent.default_map or {})[ctx.info_name]


def serving_options(command: F) -> F:
    """The options that ``serve`` and ``talk`` share."""
    path = click.Path(path_type=Path)
    for decorator in reversed(
        (
            click.option("--host", default="127.0.0.1", help="Address to listen on; others need a token."),
            click.option("--port", type=click.IntRange(0, 65535), default=8790, help="0: any free port."),
            click.option(
                "--model",
                default="pocket",
                help="Who answers: pocket, a directory of a published layout, or a name of the hub (owner/name).",
            ),
            model_options,
            brain_options,
            click.option("--sessions", type=click.IntRange(1), default=MANY, help="How many may talk at once."),
            click.option("--token", help="API key that clients must present; better set by DUOLOGUE_TOKEN."),
            click.option(
                "--allow-origin",
                multiple=True,
                metavar="ORIGIN",
                help="Web page that may use this server, as https://host[:port], or *. May be repeated.",
            ),
            click.option("--ssl-cert", type=path, help="Certificate (PEM): serve https and wss."),
            click.option("--ssl-key", type=path, help="Its private key (PEM)."),
            click.option(
                "--lead-ms",
                type=lead,
                default=120,
                metavar="MS|off",
                help="How far ahead of real time a reply is sent; off: as fast as it is made.",
            ),
            click.option(
                "--strictness",
                type=click.Choice(("loose", "normal", "strict")),
                default="normal",
                help="How sure it must be that words are meant for it; strict: call it by its name.",
            ),
            click.option(
                "--history",
                is_flag=True,
                help="Tell models that were trained on single turns of earlier ones all the same.",
            ),
            click.option(
                "--speculate/--no-speculate",
                default=True,
                help="Begin replies at the first pause of a turn: sooner, for the computing that is thrown away "
                "where the person goes on.",
            ),
            click.option(
                "--drain-seconds",
                type=click.FloatRange(0),
                default=30.0,
                help="How long running replies may take to end when the server is stopped.",
            ),
            click.option("--log-level", type=click.Choice(("debug", "info", "warning", "error")), default="info"),
            click.option("--log-json", is_flag=True, help="Logs as one JSON object a line."),
            click.option(
                "--config",
                type=click.Path(path_type=Path, dir_okay=False),
                is_eager=True,
                expose_value=False,
                callback=_own_config,
                help="TOML file with options.",
            ),
        )
    ):
        command = decorator(command)
    return command


def _from_environment(command: click.Command) -> click.Command:
    """Let every option of ``command`` be set by DUOLOGUE_ and its name."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None:
            option.envvar = f"DUOLOGUE_{config.flag(option).upper()}"
    return command


@main.command(context_settings={"show_default": True})
@serving_options
def serve(**given: Any) -> None:
    """Serve OpenAI Realtime at /v1/realtime and a page to talk on."""
    _serve(given, lambda url: None)


@main.command(context_settings={"show_default": True})
@serving_options
@click.option("--terminal", is_flag=True, help="Talk here, with this machine's microphone and loudspeaker.")
@click.option("--url", help="With --terminal: a running server (http://, ws://) instead of this process.")
@click.pass_context
def talk(ctx: click.Context, /, terminal: bool, url: str | None, **given: Any) -> None:
    """Serve, and open the page in a browser; or talk in the terminal."""
    if terminal:
        _talk_here(ctx, url, given)
        return
    if _typed(ctx, "url"):
        raise click.UsageError("--url goes with --terminal; a server's page is opened in a browser by its address")
    import webbrowser

    def show(url: str) -> None:
        if not webbrowser.open(url):
            click.echo("there is no browser to open here: open that address in one yourself", err=True)

    _serve(given, show)


_from_environment(serve)
_from_environment(talk)

HERE = {"model", "token", "log_level", "log_json", "device", "dtype", "quantize", "threads", "context", "graphs"} | {
    "brain", "brain_model", "brain_key", "brain_timeout", "brain_speculate"
}  # fmt: skip
"""The options of serving that mean something in the terminal as well."""

OWN = {"lead_ms", "strictness", "history", "speculate"}
"""Those that do without ``--url``."""


def _talk_here(ctx: click.Context, url: str | None, given: dict[str, Any]) -> None:
    import asyncio
    from contextlib import suppress

    from duologue import backends, logs
    from duologue.measure.lines import LineError
    from duologue.measure.opening import open_line
    from duologue.session.options import SessionOptions
    from duologue.terminal.conversation import converse
    from duologue.terminal.device import DeviceError
    from duologue.terminal.soundcard import SoundCard

    meaningless = given.keys() - HERE - (OWN if url is None else set())
    for name in sorted(name for name in meaningless if _typed(ctx, name)):
        raise click.UsageError(f"--{name.replace('_', '-')} is about serving; here nobody is served")
    logs.configure(given["log_level"], as_json=given["log_json"])
    chosen = _model_options(given | {"sessions": 1})
    by_default = ctx.get_parameter_source("model") is ParameterSource.DEFAULT
    model = None if by_default else given["model"]  # a server knows best which is its own

    async def talk_on_a_line() -> None:
        device = SoundCard()  # first, for it is the likeliest to be missing
        session = SessionOptions(
            lead_ms=given["lead_ms"],
            strictness=given["strictness"],
            history=given["history"],
            speculate=given["speculate"],
        )
        async with open_line(model=model, url=url, token=given["token"], session=session, options=chosen) as line:
            await converse(line, device, sys.stdout)

    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(talk_on_a_line())
    except backends.UnknownModel as error:
        raise click.UsageError(str(error)) from error
    except (LineError, DeviceError) as error:
        raise click.ClickException(str(error)) from error


def _typed(ctx: click.Context, name: str) -> bool:
    """Whether an option comes from the command line itself, and not from a file that other commands read too."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _serve(given: dict[str, Any], ready: Callable[[str], None]) -> None:
    import asyncio

    from duologue import backends, logs
    from duologue.server import run, sessions
    from duologue.server.options import OptionError

    model: str = given.pop("model")
    chosen = _model_options(given)
    logs.configure(given.pop("log_level"), as_json=given.pop("log_json"))
    try:
        options = _server_options(given)
        backend = backends.load(model, options=chosen)
    except (OptionError, backends.UnknownModel) as error:
        raise click.UsageError(str(error)) from error

    def announce(url: str) -> None:
        card = backend.card
        if card.gait == "frame" or card.hears:
            click.echo(f"duologue: {card.title}. Licence of its weights: {card.licence}")
        click.echo(f"duologue: {model} is ready at {url}  (Ctrl+C stops)")
        ready(url)

    try:
        run.serve_here(options, backend, sessions.opener, announce)
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    except run.CannotStart as error:
        raise click.ClickException(str(error)) from error
    except asyncio.CancelledError:  # a second signal
        raise SystemExit(1) from None


def _model_options(given: dict[str, Any]) -> ModelOptions:
    from duologue.backends import options_from
    from duologue.backends.pocket.brain_url.address import BrainAddressError

    try:
        return options_from(given, sessions=given["sessions"])
    except BrainAddressError as error:
        raise click.UsageError(str(error)) from error


def _server_options(given: dict[str, Any]) -> ServerOptions:
    from duologue.server.options import ServerOptions

    return ServerOptions(allow_origins=given.pop("allow_origin"), **given)
