"""LLaMA-Omni's turns: a :class:`~duologue.models.contract.TurnModel` that speaks as it writes.

Every step draws a text token and, from the state that it was drawn from, 25 classes of the speech decoder; what they
leave of units waits until there are Ω of them, and is then said by the vocoder. Text is reported with the sound that
says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duologue.codecs.unit_hifigan import UnitHiFiGAN
from duologue.codecs.unit_stream import UnitStream, UnitStreamState, Utterance
from duologue.encoders.mel import HOP, RATE, windowed
from duologue.models.drawing import draw
from duologue.models.llama3 import laid_out
from duologue.models.llama_omni import Collapse, LlamaOmniNet, positions
from duologue.models.reading import CHUNK, woven
from duologue.models.saying import End, Saying
from duologue.models.text import Vocabulary
from duologue.models.turns import Facts, Ids, Line, Manner, Piece, Sound, Uttered
from duologue.nn.cache import Cache
from duologue.nn.rows import Rows
from duologue.nn.sampling import Sampling

PUBLISHED = Sampling(0.0, top_p=0.9)
"""Greedy, as its demo; where a temperature is asked for, with the share of Llama 3.1's generation_config.json."""

OMEGA = 10
"""Units that are said at once, at least (paper, table 3; its demo's 40 comes later and sounds no better here)."""

PACE = 4.0
"""Text tokens a second of speech: three words, of one and a third tokens."""

HOLD = 4
"""Frames (80 ms) that are held back between two releases, so that one fades into the other: no click, little delay."""

LONGEST = 512
"""Text tokens of an answer, at most, as in its demo: the speech decoder has 25 positions for each."""

ENDS = ("<|end_of_text|>", "<|eom_id|>", "<|eot_id|>")
CONTROL = ("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", *ENDS)


@dataclass(slots=True)
class Answering:
    """One row's answer."""

    manner: Manner
    saying: Saying
    """A text's number: with how many units it is said."""
    collapse: Collapse
    count: int = 0
    """Tokens drawn."""
    pending: list[int] = field(default_factory=list)
    """Units that wait for more."""
    units: int = 0
    """All that there were."""


@dataclass(slots=True)
class LlamaOmniState:
    """All rows."""

    cache: Cache
    speech: Cache
    voice: UnitStreamState
    coming: Tensor
    """[rows, dim]: what each row reads next."""
    answers: dict[int, Answering] = field(default_factory=dict)

    def reset(self, rows: Rows) -> None:
        self.cache.reset(rows)
        self.speech.reset(rows)
        self.voice.reset(rows)
        for row in rows.host:
            self.answers.pop(row, None)


class LlamaOmni:
    """See :class:`duologue.models.contract.TurnModel`."""

    def __init__(
        self,
        net: LlamaOmniNet,
        vocoder: UnitHiFiGAN,
        vocabulary: Vocabulary,
        sampling: Sampling = PUBLISHED,
        *,
        omega: int = OMEGA,
        hold: int | None = HOLD,
    ) -> None:
        """``omega``: units that are said at once, at least, from 1. ``hold``: see
        :class:`~duologue.codecs.unit_stream.UnitStream`; ``None`` is sample for sample what the whole answer gives."""
        if omega < 1:
            raise ValueError(f"units are said at least one at once, not {omega}")
        self.net = net
        self.vocabulary = vocabulary
        self.sampling = sampling
        self.omega = omega
        self.voice = UnitStream(vocoder, hold)
        self._control = vocabulary.control(*CONTROL)
        self._ends = {self._control[name] for name in ENDS}
        steps = net.config.tower.steps
        self._window = 2 * steps * HOP
        self._heard = positions(2 * steps, net.config.together)
        self.facts = Facts(
            hears=RATE,
            says=vocoder.config.sampling_rate,
            context=net.config.context,
            window=self._window / RATE,
            sounds_per_turn=1,
            history="untrained",
            pictures=False,
            writes=True,
            mixes=True,
            instructions=True,
            pace=PACE,
        )

    def state(self, rows: int, context: int | None = None) -> LlamaOmniState:
        config, like = self.net.config, self.net.embedding
        length = min(context or config.context, config.context)
        return LlamaOmniState(
            self.net.decoder.cache(rows, length=length, chunk=min(CHUNK, length)),
            self.net.speech.cache(rows, LONGEST),
            self.voice.state(rows),
            torch.zeros(rows, config.dim, device=like.device, dtype=like.dtype),
        )

    # -- prompts ----------------------------------------------------------------------------------------------

    def layout(self, lines: Sequence[Line], manner: Manner) -> list[Piece]:
        """As the contract says. Raises ``ValueError`` for a picture, for a sound longer than the window or of nothing,
        and for two sounds in one turn."""
        for line in lines:
            sounds = [part for part in line.parts if isinstance(part, Sound)]
            if len(sounds) > 1:
                raise ValueError("this model hears one sound a turn: join them, or ask in several turns")
            if any(len(sound.wave) > self._window for sound in sounds):
                raise ValueError(f"this model hears {self.facts.window:g} s of a turn, no more: ask in several turns")
            if any(not len(sound.wave) for sound in sounds):
                raise ValueError("a sound of no samples cannot be heard")
        return laid_out(lines, self.vocabulary.encode, self._control)

    def size(self, piece: Piece) -> int:
        if isinstance(piece, Ids):
            return len(piece.columns)
        assert isinstance(piece, Sound)
        return self._heard  # however short: it was trained on the padded window, silence and all

    def embed(self, pieces: Sequence[Piece]) -> list[Tensor]:
        return woven(pieces, self._read, self._hear)

    def _read(self, ids: Ids) -> Tensor:
        return self.net.embed(torch.tensor(ids.columns, dtype=torch.int64, device=self.net.embedding.device))

    def _hear(self, sounds: Sequence[Sound]) -> list[Tensor]:
        weight = self.net.tower.positions
        mel = windowed([torch.from_numpy(sound.wave) for sound in sounds], self._window, self.net.config.tower.mels)
        return list(self.net.hear(mel.to(weight.device, weight.dtype)))

    # -- reading ----------------------------------------------------------------------------------------------

    def rewind(self, state: LlamaOmniState, row: Rows, position: int) -> None:
        state.cache.position[list(row.host)] = position

    def prefill(self, state: LlamaOmniState, rows: Rows, x: Tensor) -> None:
        self.net.decoder.stream(x.to(state.coming.dtype), state.cache, rows)

    def begin(
        self,
        state: LlamaOmniState,
        rows: Rows,
        x: Tensor,
        prompts: Sequence[Sequence[Piece]],
        manners: Sequence[Manner],
    ) -> None:
        rows.put(state.coming, x[:, 0].to(state.coming.dtype))
        state.speech.reset(rows)
        state.voice.reset(rows)
        for row, manner in zip(rows.host, manners, strict=True):
            state.answers[row] = Answering(manner, Saying.begin(self.vocabulary), Collapse(self.net.speech.blank))

    # -- answering --------------------------------------------------------------------------------------------

    def step(self, state: LlamaOmniState, rows: Rows) -> list[Uttered]:
        at = state.cache.position[list(rows.host)]
        hidden = self.net.think(rows.take(state.coming)[:, None], state.cache, rows)
        answers = [state.answers[row] for row in rows.host]
        logits = self.net.logits(hidden)[:, 0].float()
        tokens = draw(self.sampling, [answer.manner for answer in answers], logits, at)
        rows.put(state.coming, self.net.embed(tokens).to(state.coming.dtype))
        self._make_units(state, rows, answers, hidden[:, 0])
        ends = [
            self._write(state, answer, token, int(position))
            for answer, token, position in zip(answers, tokens.tolist(), at, strict=True)
        ]
        return self._say(state, rows, answers, ends)

    def _make_units(self, state: LlamaOmniState, rows: Rows, answers: Sequence[Answering], hidden: Tensor) -> None:
        """What the states that the tokens were drawn from say."""
        speaking = [n for n, answer in enumerate(answers) if answer.manner.speech]
        if not speaking:
            return
        classes = self.net.speech.stream(hidden[speaking], state.speech, rows.pick(speaking)).tolist()
        for n, each in zip(speaking, classes, strict=True):
            units = answers[n].collapse.read(each)
            answers[n].pending += units
            answers[n].units += len(units)

    def _write(self, state: LlamaOmniState, answer: Answering, token: int, position: int) -> End | None:
        """Another token of the text; why the answer ends with it, if it does."""
        saying = answer.saying
        saying.enter()
        answer.count += 1
        ended = token in self._ends
        full = answer.count >= min(LONGEST, answer.manner.tokens or LONGEST) or position + 2 >= state.cache.window
        text = "" if ended else saying.writing.write(token)
        if ended or full:
            text += saying.writing.finish()
        saying.last = None if ended else (token, saying.writing.chars)
        saying.write(text, answer.units)
        return "completed" if ended else "length" if full else None

    def _say(
        self, state: LlamaOmniState, rows: Rows, answers: Sequence[Answering], ends: Sequence[End | None]
    ) -> list[Uttered]:
        saying = [
            n
            for n, (answer, end) in enumerate(zip(answers, ends, strict=True))
            if answer.manner.speech and (end or len(answer.pending) >= self.omega)
        ]
        waves: dict[int, Tensor] = {}
        if saying:
            units = [answers[n].pending for n in saying]
            last = [ends[n] is not None for n in saying]
            waves = dict(zip(saying, self.voice.feed(state.voice, rows.pick(saying), units, last), strict=True))
            for n in saying:
                answers[n].pending = []
        hop, out = self.voice.vocoder.config.hop, []
        for n, (row, answer, end) in enumerate(zip(rows.host, answers, ends, strict=True)):
            spoken = state.voice.utterances[row]

            def at(unit: int, spoken: Utterance = spoken) -> int | None:
                frame = spoken.start(unit)
                return None if frame is None else frame * hop

            said = spoken.said * hop if answer.manner.speech else -1
            out.append(answer.saying.utter(waves.get(n), said, at, end))
        return out

    def age(self, state: LlamaOmniState, rows: Rows, positions: int) -> None:
        state.cache.position[list(rows.host)] = positions
        state.speech.position[list(rows.host)] = min(positions, LONGEST // 2) * self.net.config.upsample
