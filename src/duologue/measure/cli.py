"""The verbs ``ask`` and ``bench``: options in, words or one JSON object out. The measuring is elsewhere."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

from duologue.audio import seconds
from duologue.audio.files import AudioFileError, read_wave, write_wave
from duologue.backends import UnknownModel, options_from
from duologue.backends.pocket.brain_url.address import BrainAddressError
from duologue.measure.ask import ask as put
from duologue.measure.exchange import Exchange, joined
from duologue.measure.figures import Spread
from duologue.measure.lines import LineError
from duologue.measure.results import keep_first_response
from duologue.measure.serving import own_server
from duologue.measure.voices import VoiceError
from duologue.options import brain_options, model_options

if TYPE_CHECKING:
    from duologue.measure.ticking import Tick

T = TypeVar("T")

MODEL = click.option("--model", default=None, help="Model to talk with.  [default: pocket]")
URL = click.option("--url", default=None, help="A running server instead of one of one's own.")
TOKEN = click.option("--token", default=None, help="Its token.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")


# -- ask ------------------------------------------------------------------------------------------------


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@MODEL
@click.option("--url", default=None, help="A server to ask (http://, ws://), instead of this process.")
@TOKEN
@click.option("--out", type=click.Path(path_type=Path), default=None, help="WAV file for the replies' audio.")
@JSON
@click.option("--fast", is_flag=True, help="As fast as the machine can; then no latency is reported.")
@brain_options
@model_options
def ask(
    files: tuple[Path, ...],
    model: str | None,
    url: str | None,
    token: str | None,
    out: Path | None,
    as_json: bool,
    fast: bool,
    **how: Any,
) -> None:
    """Speak recordings to a model, one after the other, and tell what it answers.

    Each FILE (WAV, FLAC, OGG, MP3) is one spoken turn of one conversation; the next begins when the reply to
    the last is over. Exit status: 0 also where silence was the answer, 1 where the server failed, 2 where a
    file cannot be read.
    """
    if fast and url is not None:
        raise click.UsageError("--fast makes time virtual, which a server does not follow: leave --url out")
    try:
        waves = [read_wave(file) for file in files]
        options = options_from(how, sessions=1)
    except (AudioFileError, BrainAddressError) as error:
        raise click.UsageError(str(error)) from error
    told: list[Exchange] = []

    def tell(turn: Exchange) -> None:
        told.append(turn)
        if turn.problem:
            click.echo(f"turn {len(told)}: {turn.problem}", err=True)
        if not as_json:
            click.echo(_in_words(files[len(told) - 1], turn, fast))

    asked = _run(put(waves, model=model, url=url, token=token, fast=fast, options=options, told=tell))
    if as_json:
        click.echo(json.dumps(asked.to_json()))
    if out is not None:
        _write(out, asked.turns)
    if any(turn.problem and not turn.answered for turn in asked.turns):
        sys.exit(1)


def _in_words(file: Path, turn: Exchange, fast: bool) -> str:
    lines = [f"{file}", f"  heard  {turn.heard or '(no words)'}"]
    if not turn.answered:
        return "\n".join([*lines, "  said   (nothing: silence was the answer)"])
    lines.append(f"  said   {turn.said}")
    measured = [f"reply of {seconds(len(turn.audio)):.1f} s"]
    if turn.latency is not None and not fast:
        measured.insert(0, f"first response after {turn.latency * 1000:.0f} ms")
    return "\n".join([*lines, f"  {', '.join(measured)}"])


def _write(out: Path, turns: tuple[Exchange, ...]) -> None:
    replies = [turn.audio for turn in turns if len(turn.audio)]
    if not replies:
        click.echo(f"{out}: not written, for no reply was heard", err=True)
        return
    try:
        write_wave(out, joined(replies))
    except AudioFileError as error:
        raise click.UsageError(str(error)) from error


# -- bench ----------------------------------------------------------------------------------------------


@click.group()
def bench() -> None:
    """Measure what people compare by. docs/benchmarks.md says what each figure means."""


@bench.command()
@MODEL
@URL
@TOKEN
@JSON
@click.option("--sessions", type=click.IntRange(1), default=1, show_default=True, help="Callers at once.")
@click.option(
    "--questions",
    type=click.IntRange(1),
    default=None,
    help="Questions in all.  [default: 48, or 12 for each caller if that is more]",
)
@click.option(
    "--voice",
    "voices",
    multiple=True,
    help="Voice that asks, may be repeated: slt, espeak:en-us, …  [default: slt, rms, awb, kal16]",
)
@click.option(
    "--keep", is_flag=True, help="Keep the figure where `duologue models` finds it (measure/results.json)."
)
def latency(
    model: str | None,
    url: str | None,
    token: str | None,
    as_json: bool,
    sessions: int,
    questions: int | None,
    voices: tuple[str, ...],
    keep: bool,
) -> None:
    """First-response latency: end of the last word to the first audible sample of the answer."""
    from duologue.measure.latency import Answer, Latency
    from duologue.measure.latency import latency as measure
    from duologue.measure.voices import VOICES

    many = questions or max(48, 12 * sessions)

    async def run() -> Latency:
        with _progress(many, "questions", as_json) as bar:

            def told(answer: Answer) -> None:
                bar.update()

            async with _server(url, model, sessions) as where:
                return await measure(
                    where,
                    sessions=sessions,
                    questions=many,
                    voices=voices or VOICES,
                    model=model,
                    token=token,
                    told=told,
                )

    result = _run(run())
    if keep:
        keep_first_response(result.model, result.first_response, sessions)
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: first response, {result.sessions} at once")
    click.echo(f"  all           {_spread(result.first_response)}")
    for voice, spread in result.voices.items():
        click.echo(f"  {voice:<13} {_spread(spread)}")
    click.echo(f"  asked {result.asked}, unanswered {result.unanswered}, cut in {result.cut_in}")


@bench.command()
@MODEL
@URL
@TOKEN
@JSON
@click.option(
    "--questions", type=click.IntRange(1), default=16, show_default=True, help="Of each kind, each put both ways."
)
def speculation(model: str | None, url: str | None, token: str | None, as_json: bool, questions: int) -> None:
    """Speculation: how much sooner an answer begins that was prepared at the first pause, and what that costs."""
    from duologue.measure.speculation import Speculation
    from duologue.measure.speculation import speculation as measure

    async def run() -> Speculation:
        with _progress(4 * questions, "questions", as_json) as bar:

            def told() -> None:
                bar.update()

            async with _server(url, model, 1) as where:
                return await measure(where, questions=questions, model=model, token=token, told=told)

    result = _run(run())
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: first response, begun at the first pause and at the endpoint, in turns")
    for row in result.kinds:
        for name, begun in (("at the pause", row.at_pause), ("at the endpoint", row.at_endpoint)):
            others = f"unanswered {begun.unanswered}, cut in {begun.cut_in}"
            click.echo(f"  {row.kind:<9} {name:<16} {_spread(begun.first_response)}; {others}")
        gain = "" if row.gain_ms is None else f"sooner by {row.gain_ms} ms in the median"
        lost = "" if row.taken_back is None else f"{row.taken_back} taken back, {row.lost_s:.2f} s of computing lost"
        click.echo(f"  {row.kind:<9} " + "; ".join(filter(None, (gain, lost))))


@bench.command()
@MODEL
@URL
@TOKEN
@JSON
@click.option("--trials", type=click.IntRange(1), default=24, show_default=True, help="Interruptions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random moments.")
def bargein(model: str | None, url: str | None, token: str | None, as_json: bool, trials: int, seed: int) -> None:
    """Barge-in: the interrupter's onset to the listener's silence, with a stock client."""
    from duologue.measure.bargein import BargeIn, Trial, barge_in

    async def run() -> BargeIn:
        with _progress(trials, "interruptions", as_json) as bar:

            def told(trial: Trial) -> None:
                bar.update()

            async with _server(url, model, 4) as where:
                return await barge_in(where, trials=trials, seed=seed, model=model, token=token, told=told)

    result = _run(run())
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: silent to the listener after the interrupter's onset")
    click.echo(f"  all             {_spread(result.silent)}")
    for words, spread in result.words.items():
        click.echo(f"  {words:<15} {_spread(spread)}")
    click.echo(f"  interrupted {result.trials}, obeyed {result.obeyed}")


@bench.command()
@MODEL
@URL
@TOKEN
@JSON
@click.option("--kind", "kinds", multiple=True, help="Scenario, may be repeated.  [default: all]")
@click.option("--scenes", "many", type=click.IntRange(1), default=50, show_default=True, help="Of each kind.")
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Of noise each."
)
@click.option("--at-once", type=click.IntRange(1), default=4, show_default=True, help="Conversations at a time.")
@click.option("--tune", is_flag=True, help="The phrases for adjusting the floor, not those to report.")
@click.option("--quick", is_flag=True, help="Two scenes of each kind, a minute of noise.")
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), default=None, help="A page to look at.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the moments and noises.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of Full-Duplex-Bench's own recordings to play instead, by its own definitions.",
)
@click.option(
    "--outputs",
    type=click.Path(file_okay=False, path_type=Path),
    help="With --data: where to keep what was heard, for that benchmark's own scripts.",
)
def duplex(
    model: str | None,
    url: str | None,
    token: str | None,
    as_json: bool,
    kinds: tuple[str, ...],
    many: int,
    minutes: float,
    at_once: int,
    tune: bool,
    quick: bool,
    html: Path | None,
    seed: int,
    data: Path | None,
    outputs: Path | None,
) -> None:
    """Turn-taking: pauses, turns, interruptions, backchannels, other talk and noise, as a listener hears it."""
    from duologue.measure.duplex.report import page
    from duologue.measure.duplex.run import Duplex, Played
    from duologue.measure.duplex.run import duplex as measure
    from duologue.measure.duplex.scenes import KINDS, scenes
    from duologue.measure.phrases import Part

    if outputs is not None and data is None:
        raise click.UsageError("--outputs goes with --data")
    if data is not None:
        if kinds or html or tune or quick:
            raise click.UsageError("--kind, --html, --tune and --quick are not for --data")
        _recordings(data, outputs, url=url, model=model, token=token, as_json=as_json)
        return
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise click.UsageError(f"no scenario {', '.join(unknown)}; there are {', '.join(KINDS)}")
    wanted = [kind for kind in KINDS if kind in (kinds or KINDS)]
    if html is not None and not html.parent.is_dir():
        raise click.UsageError(f"there is no folder {html.parent} for the page")
    many, minutes = (2, 1.0) if quick else (many, minutes)
    part: Part = "tune" if tune else "report"

    async def run() -> Duplex:
        # Before a server is started: a missing voice is told at once.
        chosen = await asyncio.to_thread(scenes, wanted, part=part, many=many, minutes=minutes, seed=seed)
        with _progress(len(chosen), "scenes", as_json) as bar:

            def told(played: Played) -> None:
                bar.update()

            async with _server(url, model, at_once) as where:
                return await measure(where, chosen, part=part, at_once=at_once, model=model, token=token, told=told)

    result = _run(run())
    if html is not None:
        html.write_text(page(result), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: turn-taking, duologue's own synthetic scenarios ({result.part} set)")
    for row in result.rows:
        bar = "" if row.holds is None else "  bar reached" if row.holds else "  BELOW THE BAR"
        rate = row.answers_in_ten_minutes
        answers = "" if rate is None else f"  {rate:.1f} answers in 10 min"
        after = "" if row.latency is None else f"  answer after {_spread(row.latency)}"
        silent = "" if row.silent is None else f"  silent after {_spread(row.silent)}"
        click.echo(f"  {row.kind:<13} {row.right:>3} of {row.scenes:<3}{bar}{answers}{after}{silent}")
    for scene in result.scenes:
        if not scene.right:
            understood = " | ".join(filter(None, scene.understood)) or "nothing"
            click.echo(f"  wrong: {scene.kind}, {scene.voice}: {scene.text!r} {scene.why} (understood: {understood})")


def _recordings(
    data: Path, outputs: Path | None, *, url: str | None, model: str | None, token: str | None, as_json: bool
) -> None:
    """``bench duplex --data``."""
    from duologue.measure.duplex import folders

    async def run() -> folders.Recordings:
        chosen = folders.samples_in(data)
        with _progress(len(chosen), "recordings", as_json) as bar:

            def told(result: folders.Result) -> None:
                bar.update()

            async with _server(url, model, 1) as where:
                return await folders.recordings(where, chosen, outputs=outputs, model=model, token=token, told=told)

    try:
        result = _run(run())
    except folders.DataError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: Full-Duplex-Bench's recordings, words found by PocketSphinx instead of Parakeet")
    for row in result.rows:
        figures = [f"{row.samples} samples"]
        figures += [] if row.tor is None else [f"TOR {row.tor:.3f}"]
        figures += [] if row.mean_latency is None else [f"latency mean {row.mean_latency:.3f} s, {row.latency}"]
        figures += [] if row.backchannels_a_second is None else [f"{row.backchannels_a_second:.3f} backchannels/s"]
        figures += [] if row.both_speak is None else [f"both speak {row.both_speak}"]
        figures += [] if row.answers_after is None else [f"answers after {row.answers_after}"]
        click.echo(f"  {row.name:<28} {'; '.join(figures)}")


@bench.command()
@click.option(
    "--model", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="A Moshi checkpoint."
)
@JSON
@click.option("--sessions", type=click.IntRange(2), default=8, show_default=True, help="At once, of ours.")
@click.option("--steps", type=click.IntRange(1), default=12, show_default=True, help="In each of five blocks.")
@click.option("--dtype", type=click.Choice(("float32", "bfloat16")), default="float32", show_default=True)
@click.option("--quantize", type=click.Choice(("none", "int8")), default="none", show_default=True, help="Of ours.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def reference(
    model: Path, as_json: bool, sessions: int, steps: int, dtype: str, quantize: str, threads: int
) -> None:
    """Moshi beside Kyutai's own package: the same weights, in turns in one process."""
    from duologue.engine.loading import CannotLoad
    from duologue.measure.compared import Line
    from duologue.measure.reference import NoReference, beside

    with _progress(6, "lines", as_json) as bar:

        def told(line: Line) -> None:
            bar.update()

        try:
            result = beside(
                model, sessions=sessions, steps=steps, dtype=dtype, quantize=quantize, threads=threads, told=told
            )
        except (NoReference, CannotLoad) as error:
            raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model} on {result.processor}, {result.threads} thread(s)")
    for line in result.lines:
        click.echo(f"  {line}")
    click.echo(
        f"  memory {result.gigabytes_a_second} GB/s; a step reads {result.weights_mb} MB of weights once, "
        f"and {result.ring_mb} MB of ring for each session"
    )


@bench.command()
@click.option("--model", default="pocket", show_default=True, help="Model to measure.")
@JSON
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True)
@click.option("--sessions", type=click.IntRange(1), default=4, show_default=True, help="Guests who converse.")
@click.option("--troublemakers", type=click.IntRange(0), default=4, show_default=True, help="Guests who misbehave.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of what they do.")
def soak(model: str, as_json: bool, minutes: float, sessions: int, troublemakers: int, seed: int) -> None:
    """A long evening with guests who misbehave: memory, descriptors, and what their neighbours notice."""
    from duologue.measure.soak import Soak
    from duologue.measure.soak import soak as measure

    async def run() -> Soak:
        with _progress(round(60 * minutes), "s", as_json) as bar:

            def told(seconds: float) -> None:
                bar.update(round(seconds) - bar.n)

            return await measure(
                model=model, minutes=minutes, sessions=sessions, troublemakers=troublemakers, seed=seed, told=told
            )

    result = _run(run())
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: {result.minutes:g} minutes, {result.sessions} guests who converse")
    click.echo(f"  answered       {result.asked - sum(result.unanswered)} of {result.asked}")
    alone, beside = result.unanswered
    click.echo(f"  alone          {_spread(result.alone)}; {alone} unanswered")
    click.echo(f"  beside others  {_spread(result.beside)}; {beside} unanswered")
    before, first, last = result.megabytes
    click.echo(f"  memory         median {before:.0f} MB alone, {first:.0f} and then {last:.0f} MB beside others")
    click.echo(f"                 {result.megabytes_an_hour:+.1f} MB an hour")
    click.echo(f"  descriptors    {result.descriptors[0]} before, {result.descriptors[1]} after")
    click.echo("  the others     " + ", ".join(f"{name}: {many}" for name, many in result.misbehaved.items()))


@bench.command()
@click.option("--model", default="pocket", show_default=True, help="Model to measure.")
@JSON
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True, help="Alone.")
@click.option("--trials", type=click.IntRange(0), default=24, show_default=True, help="Rooms with interruptions.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the rooms and the moments.")
def echo(model: str, as_json: bool, minutes: float, trials: int, seed: int) -> None:
    """Echo: the model in a simulated room, on virtual time: false stops, and whether it hears "stop"."""
    from duologue.ears.echo import NoCanceller
    from duologue.measure.echo import Echo
    from duologue.measure.echo import echo as measure

    async def run() -> Echo:
        with _progress(None, "s of talk", as_json) as bar:
            return await measure(model=model, minutes=minutes, trials=trials, seed=seed, told=bar.update)

    try:
        result = _run(run())
    except NoCanceller as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}, its own echo cancelled")
    for level in result.levels:
        alone = level.alone
        click.echo(f"  echo at {level.echo_db:g} dB, {alone.minutes:g} min, {alone.spoken_s:.0f} s of them speech")
        click.echo(f"    false stops       {alone.false_stops}")
        click.echo(f"    false turns       {alone.false_turns}")
        click.echo(f"    false pauses      {alone.false_pauses}")
        for which, stops in (("first story", level.first), ("later story", level.later)):
            silent = _spread(stops.silent)
            click.echo(f'    "stop", {which}  obeyed {stops.obeyed} of {stops.trials}, silent {silent}')


@bench.command()
@JSON
@click.option("--voice", "voices", multiple=True, help="Voice that speaks, may be repeated.  [default: all there are]")
@click.option("--per-skill", type=click.IntRange(1), default=3, show_default=True, help="Known phrasings of each.")
@click.option("--clean", is_flag=True, help="Leave out what is spoken in noise.")
@click.option("--wrong", is_flag=True, help="List what was misunderstood.")
def understanding(as_json: bool, voices: tuple[str, ...], per_skill: int, clean: bool, wrong: bool) -> None:
    """Understanding: the right skill and slots from spoken phrasings, by pocket's ear and brain."""
    from duologue.ears.recognizer import EarError
    from duologue.measure.understanding import BESIDE, NOISE, VOICES, Understanding
    from duologue.measure.understanding import understanding as measure

    async def run() -> Understanding:
        with _progress(None, "utterances", as_json) as bar:
            return await measure(
                voices=voices or (*VOICES, *BESIDE), noises=() if clean else NOISE, per_skill=per_skill, told=bar.update
            )

    try:
        result = _run(run())
    except EarError as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{'voice':<22} {'noise':>6}  {'kind':<10} {'of':>4} {'right':>6} {'word errors':>12} {'answered':>9}")
    for row in result.rows:
        noise = "" if row.noise_db is None else f"{row.noise_db:g} dB"
        right = "" if row.kind == "other talk" else f"{row.right:.1%}"
        click.echo(
            f"{row.voice:<22} {noise:>6}  {row.kind:<10} {len(row.outcomes):>4} {right:>6} "
            f"{row.word_error_rate:>12.1%} {row.answered:>9.1%}"
        )
    for clip in result.people:
        click.echo(f"a person: {clip.said!r} was heard as {clip.heard!r}")
    for reason in result.absent:
        click.echo(f"not measured: {reason}")
    for outcome in (each for row in result.rows if wrong for each in row.outcomes if each.wanted and not each.right):
        click.echo(f"{outcome.said!r} was heard as {outcome.heard!r}: {outcome.understood or 'nothing'}")


@bench.command()
@click.option("--model", default="pocket", show_default=True, help="Model to measure.")
@JSON
@click.option("--sessions", type=click.IntRange(2), default=16, show_default=True, help="Guests in all.")
@click.option("--talking", type=click.IntRange(1), default=4, show_default=True, help="Of them converse.")
@click.option("--seconds", "duration", type=click.FloatRange(1), default=20.0, show_default=True)
def footprint(model: str, as_json: bool, sessions: int, talking: int, duration: float) -> None:
    """Processor time and memory a session, and the time from start to ready, of a server of its own."""
    try:
        from duologue.measure.footprint import footprint as measure
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install {error.name}") from error
    if talking > sessions:
        raise click.UsageError("--talking is more than --sessions")

    def told(stage: str) -> None:
        if not as_json and sys.stderr.isatty():
            click.echo(f"{stage} …", err=True)

    result = _run(measure(model=model, sessions=sessions, talking=talking, duration=duration, told=told))
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model}: {result.sessions} sessions")
    click.echo(f"  start to ready      {result.ready_s:.2f} s")
    click.echo(f"  idle session        {result.idle_percent:.2f} % of a core")
    click.echo(f"  talking session     {result.talking_percent:.2f} % of a core ({result.talking} at once)")
    click.echo(f"  first session       {result.first_session_mb:.0f} MB, all of the server")
    click.echo(f"  further session     {result.further_session_mb:.1f} MB")


@bench.command()
@click.option("--model", required=True, help="A directory of a published layout, or a name of the hub.")
@model_options
@click.option("--sessions", default="1,2,4,8", show_default=True, help="How many at once, one run each.")
@click.option("--ticks", type=click.IntRange(5), default=50, show_default=True, help="Ticks of each run.")
@click.option("--most", is_flag=True, help="Go on with more sessions until it is known how many are held at most.")
@JSON
def engine(model: str, sessions: str, ticks: int, most: bool, as_json: bool, **how: Any) -> None:
    """What a tick of a neural model costs with so many sessions, how many are held in real time, and how soon one that
    takes turns responds."""
    try:
        import structlog

        from duologue.engine.fit import TooLarge
        from duologue.engine.loading import CannotLoad
        from duologue.measure.ticking import ticking
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'duologue[models]'") from error
    counts = [int(part) if part.strip().isdecimal() else 0 for part in sessions.split(",")]
    if min(counts) < 1:
        raise click.UsageError(f"--sessions takes numbers like 1,2,4,8, not {sessions!r}")

    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))  # the other one is for figures

    def told(tick: Tick) -> None:
        if not as_json:
            at_once = f"{tick.sessions:>4} at once"
            click.echo(
                f"{at_once}   median {tick.median_ms:7.2f} ms   p99 {tick.p99_ms:7.2f} ms   "
                f"{tick.real_time_factor:.3f} of real time{_beside(tick)}"
            )

    try:
        result = ticking(model, sessions=counts, ticks=ticks, most=most, told=told, **how)
    except (CannotLoad, TooLarge) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"{result.model} on {result.device} in {result.dtype}, {result.threads} threads, long conversations")
    click.echo(f"  weights             {result.weights_mb:.0f} MB")
    click.echo(f"  each session        {result.session_mb:.1f} MB")
    last = result.ticks[-1]
    if last.used_mb is not None:
        how_run = f"CUDA graphs, {last.graphs_mb:.0f} MB" if last.graphs else "kernel by kernel, without CUDA graphs"
        click.echo(f"  steps               {how_run}")
        click.echo(f"  in use in all       {last.used_mb:.0f} MB with {last.sessions} sessions")
    click.echo(f"  memory for          {result.room} sessions")
    click.echo(f"  held in real time   {result.held} ({result.held_is})")
    if (first := result.response) is not None:
        click.echo(
            f"  first response      {first.total_ms:.1f} ms after a question is known: encoder {first.encoder_ms:.1f}, "
            f"prefill {first.prefill_ms:.1f}, {first.steps} step(s) {first.steps_ms:.1f}"
        )


def _beside(tick: Tick) -> str:
    """What is known of such a tick."""
    known = {"goal": tick.goal_ms, "elsewhere": tick.elsewhere_ms, "an H200 takes at least": tick.least_ms}
    return "".join(f", {name} {ms:.1f} ms" for name, ms in known.items() if ms is not None)


@bench.command()
@JSON
@click.option("--protocol", type=click.Choice(("realtime", "moshi")), default="realtime", show_default=True)
@click.option(
    "--piece-ms",
    type=click.Choice(("20", "40", "80")),
    default="20",
    show_default=True,
    help="Of sound in a message; with Moshi's protocol always 80.",
)
@click.option("--sessions", type=click.IntRange(1), default=64, show_default=True, help="Clients at once.")
@click.option("--seconds", "duration", type=click.FloatRange(1), default=20.0, show_default=True)
@click.option(
    "--troublemakers", type=click.IntRange(0), default=0, show_default=True, help="Clients that misbehave meanwhile."
)
@click.option("--misbehaviour", metavar="KIND", help="The only thing they do, such as 'never reads'; otherwise a mix.")
def server(
    as_json: bool,
    protocol: Any,
    piece_ms: str,
    sessions: int,
    duration: float,
    troublemakers: int,
    misbehaviour: str | None,
) -> None:
    """The server's own cost: a frame in, the same frame out of an echo, with many at once."""
    try:
        from duologue.measure.trouble import MISBEHAVIOURS
        from duologue.measure.wires import wires
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install {error.name}") from error
    kinds = MISBEHAVIOURS[protocol]
    if misbehaviour is not None and misbehaviour not in kinds:
        raise click.BadParameter(f"in this protocol there are: {', '.join(kinds)}", param_hint="--misbehaviour")
    result = _run(
        wires(
            protocol=protocol,
            piece_ms=int(piece_ms),
            sessions=sessions,
            duration=duration,
            troublemakers=troublemakers,
            misbehaviour=misbehaviour,
        )
    )
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    tied = "tied to one core" if result.one_core else "on whatever cores there are"
    beside = f", beside {result.troublemakers} that misbehave" if result.troublemakers else ""
    click.echo(
        f"an echo in {result.protocol}, {result.sessions} at once{beside}, {result.piece_ms} ms a message, "
        f"server and engine {tied}"
    )
    click.echo(
        f"  added to a frame    median {result.median_ms:.1f} ms, p99 {result.p99_ms:.1f} ms, "
        f"worst {result.worst_ms:.1f} ms ({result.frames} frames, {result.missing} missing)"
    )
    click.echo(f"  processor           {result.core_percent:.0f} % of a core")


@bench.command()
@JSON
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
@click.option("--tokens", type=click.IntRange(2), default=128, show_default=True, help="Text tokens of an answer.")
def parts(as_json: bool, threads: int, tokens: int) -> None:
    """Vocoders and LLaMA-Omni's speech decoder by themselves, with random weights: do they keep up with speech?"""
    try:
        from duologue.measure.parts import parts as measure
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'duologue[models]'") from error
    with _progress(tokens, "tokens recomputed", as_json) as bar:
        result = measure(threads=threads, tokens=tokens, told=bar.update)
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"on {result.threads} thread(s), float32, random weights")
    click.echo(f"  Mini-Omni2's SNAC        {result.snac:.2f} s for a second of speech")
    click.echo(f"  LLaMA-Omni's vocoder     {result.units:.2f} s for a second of speech")
    times = result.recomputed_ms / result.incremental_ms
    click.echo(f"  its speech decoder       {result.incremental_ms:.1f} ms a text token, of {result.tokens}")
    click.echo(f"  ... recomputed           {result.recomputed_ms:.1f} ms, {times:.0f} times as long")


@bench.command()
@JSON
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True)
def decoding(as_json: bool, threads: int) -> None:
    """Our decoder and Whisper beside transformers': the same random weights, in turns."""
    try:
        from duologue.measure.decoding import ROUNDS, NoTransformers
        from duologue.measure.decoding import decoding as measure
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is not installed: pip install 'duologue[models]'") from error
    try:
        with _progress((ROUNDS + 1) * 15, "blocks", as_json) as bar:
            result = measure(threads=threads, told=bar.update)
    except NoTransformers as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps(result.to_json()))
        return
    click.echo(f"on {result.threads} thread(s)")
    for line in result.lines:
        click.echo(f"  {line}")


# -- what they share --------------------------------------------------------------------------------------


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Runs it; what a person can do something about becomes a message, the rest stays a traceback."""
    try:
        return asyncio.run(work)
    except (LineError, VoiceError) as error:
        raise click.ClickException(str(error)) from error
    except UnknownModel as error:
        raise click.UsageError(str(error)) from error
    except ExceptionGroup as group:  # of callers who talk at once; mostly they fail for one reason
        expected, others = group.split((LineError, VoiceError))
        if expected is None or others is not None:
            raise
        raise click.ClickException(str(_first(expected))) from group


def _first(group: ExceptionGroup[Any]) -> Exception:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


@asynccontextmanager
async def _server(url: str | None, model: str | None, sessions: int) -> AsyncIterator[str]:
    """The address of the server to measure: the one named, or one of its own."""
    if url is not None:
        yield url
        return
    async with own_server(model=model or "pocket", sessions=max(sessions, 16)) as server:
        yield server.url


def _progress(many: int | None, what: str, as_json: bool) -> Any:
    """A bar for people; nothing in a pipe."""
    return tqdm(total=many, unit=f" {what}", disable=as_json or not sys.stderr.isatty(), leave=False)


def _spread(spread: Spread | None) -> str:
    return "no figure" if spread is None else str(spread)
