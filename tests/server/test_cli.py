"""The command line: help, and where an option's value comes from."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from duologue import __version__, cli, config, logs
from duologue.backends import ModelOptions
from duologue.backends.pocket.backend import PocketBackend
from duologue.server import run
from duologue.server.options import ServerOptions

MINIMAL = {"DUOLOGUE_TOKEN": None, "DUOLOGUE_CONFIG": None, "DUOLOGUE_PORT": None}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What ``serve`` would have been started with; nothing is started, and the directory is empty."""
    seen: dict[str, Any] = {}

    async def serve(options: ServerOptions, backend: object, opener: object, ready: object) -> None:
        seen["options"] = options

    monkeypatch.setattr(run, "serve", serve)
    monkeypatch.setattr(logs, "configure", lambda level, as_json: seen.update(level=level, as_json=as_json))
    def load(name: str, options: object) -> PocketBackend:
        seen.update(model=name, how=options)
        return PocketBackend()

    monkeypatch.setattr("duologue.backends.load", load)
    monkeypatch.chdir(tmp_path)
    return seen


def call(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, env={**MINIMAL, **environment}, prog_name="duologue")


def test_defaults(told: dict[str, Any]) -> None:
    assert call("serve").exit_code == 0
    assert told["options"] == ServerOptions()
    assert (told["model"], told["level"], told["as_json"]) == ("pocket", "info", False)
    assert told["how"] == ModelOptions()
    asked = ("--device", "cuda:1", "--dtype", "bfloat16", "--quantize", "int8", "--threads", "2", "--sessions", "3")
    assert call("serve", *asked).exit_code == 0
    assert told["how"] == ModelOptions("cuda:1", "bfloat16", "int8", 2, sessions=3)
    assert call("serve", "--no-graphs").exit_code == 0
    assert told["how"] == ModelOptions(graphs=False)


def test_flag_before_environment_before_file_before_default(told: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "duologue.toml"

    def port(*arguments: str, **environment: str) -> int:
        result = call("serve", *arguments, **environment)
        assert result.exit_code == 0, result.output
        return int(told["options"].port)

    assert port() == 8790
    file.write_text("port = 1001")
    assert port() == 1001
    file.write_text("port = 1001\n[serve]\nport = 1002\n[talk]\nport = 1003\n[bench.latency]\nsessions = 2")
    assert port() == 1002
    assert port(DUOLOGUE_PORT="1004") == 1004
    assert port("--port", "1005", DUOLOGUE_PORT="1004") == 1005
    assert call("talk").exit_code == 0
    assert told["options"].port == 1003


def test_the_file_may_be_named_before_or_after_the_command_or_in_the_environment(
    told: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "duologue.toml").write_text("port = 1001")
    other = tmp_path / "other.toml"
    other.write_text("[serve]\nport = 2002")
    for arguments in (("--config", str(other), "serve"), ("serve", "--config", str(other))):
        assert call(*arguments).exit_code == 0
        assert told["options"].port == 2002
    assert call("serve", DUOLOGUE_CONFIG=str(other)).exit_code == 0
    assert told["options"].port == 2002


def test_every_option_from_the_file(told: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "duologue.toml").write_text(
        'host = "0.0.0.0"\nport = 0\nmodel = "other"\nsessions = 3\ntoken = "abc"\n'
        'allow-origin = ["https://a.example", "http://b.example:81"]\nlead-ms = "off"\n'
        'strictness = "strict"\nspeculate = false\n'
        'drain_seconds = 5\nlog-level = "debug"\nlog-json = true\n'
    )
    result = call("serve")
    assert result.exit_code == 0, result.output
    assert told["options"] == ServerOptions(
        host="0.0.0.0",
        port=0,
        sessions=3,
        token="abc",
        allow_origins=("https://a.example", "http://b.example:81"),
        lead_ms=None,
        strictness="strict",
        speculate=False,
        drain_seconds=5,
    )
    assert (told["model"], told["level"], told["as_json"]) == ("other", "debug", True)


def test_every_option_from_the_environment(told: dict[str, Any]) -> None:
    result = call(
        "serve",
        DUOLOGUE_HOST="::",
        DUOLOGUE_TOKEN="abc",
        DUOLOGUE_MODEL="other",
        DUOLOGUE_SESSIONS="3",
        DUOLOGUE_ALLOW_ORIGIN="https://a.example http://b.example:81",
        DUOLOGUE_LEAD_MS="0",
        DUOLOGUE_DRAIN_SECONDS="1.5",
        DUOLOGUE_LOG_LEVEL="error",
        DUOLOGUE_LOG_JSON="1",
    )
    assert result.exit_code == 0, result.output
    options = told["options"]
    assert (options.host, options.token, options.sessions) == ("::", "abc", 3)
    assert options.allow_origins == ("https://a.example", "http://b.example:81")
    assert (options.lead_ms, options.drain_seconds) == (0, 1.5)
    assert (told["model"], told["level"], told["as_json"]) == ("other", "error", True)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("port = ", "not valid TOML"),
        ("prot = 1", "unknown key 'prot'; did you mean port?"),
        ("[serve]\nprot = 1", "[serve] in duologue.toml: unknown key 'prot'; did you mean port?"),
        ("[sreve]\nport = 1", "unknown key 'sreve'; did you mean serve?"),
        ('port = "many"', "port: 'many' is not a valid integer"),
        ("port = 70000", "port: 70000 is not in the range"),
        ('allow-origin = "https://a.example"', "allow_origin"),
        ('log-level = "loud"', "log_level: 'loud' is not one of"),
        ('lead-ms = "soon"', "lead_ms: 'soon' is neither"),
    ],
)
def test_a_mistake_in_the_file_is_named(told: dict[str, Any], tmp_path: Path, content: str, complaint: str) -> None:
    (tmp_path / "duologue.toml").write_text(content)
    result = call("serve")
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert "duologue.toml" in result.output
    assert not told


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "give --token"),
        (["--token", "a b"], "openssl rand"),
        (["--ssl-cert", "cert.pem"], "both --ssl-cert and --ssl-key"),
        (["--ssl-cert", "no.pem", "--ssl-key", "no.pem"], "no such file"),
        (["--allow-origin", "example.org"], "no origin"),
        (["--port", "65536"], "not in the range"),
        (["--sessions", "0"], "not in the range"),
        (["--lead-ms", "-1"], "neither 0 to 10000"),
        (["--config", "missing.toml"], "missing.toml cannot be read"),
    ],
)
def test_what_cannot_be_served_is_refused_with_a_sentence(
    told: dict[str, Any], arguments: list[str], complaint: str
) -> None:
    result = call("serve", *arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_certificate_that_is_none_is_refused(told: dict[str, Any], tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    result = call("serve", "--ssl-cert", str(junk), "--ssl-key", str(junk))
    assert result.exit_code == 2
    assert "not a certificate" in " ".join(result.output.split())


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    result = call("serve", "--model", "hal")
    assert result.exit_code == 2
    assert "no model called 'hal'" in result.output
    assert "pocket" in result.output


def test_help_names_every_verb_and_imports_nothing_heavy() -> None:
    script = (
        "import sys; from duologue import cli; cli.main(['--help'], standalone_mode=False); "
        "heavy = {'numpy', 'starlette', 'uvicorn', 'structlog', 'asyncio'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for verb in ("serve", "talk", "ask", "bench"):
        assert f"\n  {verb} " in done.stdout
    for verb in ("serve", "talk"):
        page = call(verb, "--help").output
        for option in (
            "--port",
            "--host",
            "--model",
            "--sessions",
            "--token",
            "--allow-origin",
            "--ssl-cert",
        ):
            assert option in page
    assert __version__ in call("--version").output


def test_commands_of_other_rooms_take_their_options_from_the_same_places(
    told: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[bool, bool, int]] = []

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--fast", is_flag=True)
    @click.option("--port", default=0)
    def ask(as_json: bool, fast: bool, port: int) -> None:
        heard.append((as_json, fast, port))

    bench = click.Group("bench", commands={"latency": click.Command("latency", callback=ask.callback)})
    bench.commands["latency"].params = ask.params
    room = types.ModuleType("room")
    room.ask, room.bench = ask, bench  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "duologue.measure.cli", room)
    file = tmp_path / "duologue.toml"

    file.write_text("port = 5\n[ask]\njson = true\n[bench.latency]\nfast = true")
    assert call("ask").exit_code == 0
    assert call("ask", DUOLOGUE_JSON="0", DUOLOGUE_FAST="1").exit_code == 0
    assert call("bench", "latency", DUOLOGUE_BENCH_LATENCY_PORT="7").exit_code == 0
    assert heard == [(True, False, 5), (False, True, 5), (False, True, 7)]

    file.write_text("[ask]\nas_json = true")
    assert "unknown key 'as_json'; did you mean json?" in " ".join(call("ask").output.split())
    file.write_text("[bench.latencies]\nfast = true")
    assert "did you mean latency?" in " ".join(call("bench", "latency").output.split())


def test_talk_opens_the_page_when_ready(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []

    async def serve(options: object, backend: object, opener: object, ready: Any) -> None:
        ready("http://127.0.0.1:1234/")

    monkeypatch.setattr(run, "serve", serve)
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or len(opened) < 2)
    result = call("talk")
    assert opened == ["http://127.0.0.1:1234/"]
    assert "ready at http://127.0.0.1:1234/" in result.output
    assert "open that address in one yourself" in call("talk").output
    assert len(opened) == 2
    call("serve")
    assert len(opened) == 2


def test_config_reads_only_text(tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(Exception, match="cannot be read"):
        config.read(binary)
