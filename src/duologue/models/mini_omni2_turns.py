"""Mini-Omni2's turns: a :class:`~duologue.models.contract.TurnModel` that speaks as it writes, and looks at pictures.

A spoken question is answered aloud by a pair of the cache's rows, as its server does it: the first speaks, the second
writes, and what the second writes is fed to both. The two read the same prompt but for its last position, so it is read
once, and what the cache holds of it is copied. Everything else takes one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from duologue.codecs.snac import Snac
from duologue.codecs.snac_stream import SnacStream, SnacStreamState
from duologue.encoders import clip
from duologue.encoders.clip import Clip
from duologue.encoders.mel import HOP, RATE, windowed
from duologue.encoders.whisper import Whisper
from duologue.models.drawing import draw
from duologue.models.mini_omni2 import LAYERS, PICTURE, MiniOmni2LM, Task, kept, prompt
from duologue.models.reading import CHUNK, woven
from duologue.models.saying import End, Saying
from duologue.models.text import Vocabulary
from duologue.models.turns import Facts, Ids, Line, Manner, Picture, Piece, Sound, Uttered, joined
from duologue.nn.cache import Cache
from duologue.nn.rows import Rows
from duologue.nn.sampling import GREEDY, Sampling

STRIDE = 4
"""Frames (85 ms each) that are said at once, as its server does."""

HOLD = 1
"""Frames that are held back between two releases, so that one fades into the other."""


@dataclass(slots=True)
class Answering:
    """One row's answer."""

    manner: Manner
    saying: Saying
    """A text's number: the frame that says it."""
    paired: bool
    aloud: bool
    steps: int = 0
    written: bool = False
    """Whether the text is over."""
    columns: list[list[int]] = field(default_factory=list)
    """The latest, as many as the next frame needs."""
    pending: list[list[int]] = field(default_factory=list)
    """Frames that wait for more."""


@dataclass(slots=True)
class MiniOmni2State:
    """All rows; row r of a session is rows 2r and 2r + 1 of the cache."""

    cache: Cache
    voice: SnacStreamState
    coming: Tensor
    """[2 * rows, dim]: what each row of the cache reads next."""
    answers: dict[int, Answering] = field(default_factory=dict)

    def reset(self, rows: Rows) -> None:
        self.cache.reset(Rows.of([each for row in rows.host for each in (2 * row, 2 * row + 1)], rows.index.device))
        self.voice.reset(rows)
        for row in rows.host:
            self.answers.pop(row, None)


class MiniOmni2:
    """See :class:`duologue.models.contract.TurnModel`."""

    def __init__(
        self,
        lm: MiniOmni2LM,
        ear: Whisper,
        eye: Clip,
        codec: Snac,
        vocabulary: Vocabulary,
        sampling: Sampling = GREEDY,
        *,
        stride: int = STRIDE,
        hold: int | None = HOLD,
    ) -> None:
        """``sampling``: of the text; the speech is always the most probable. ``stride``: frames that are said at once,
        at least, from 1. ``hold``: see :class:`~duologue.codecs.snac_stream.SnacStream`."""
        if stride < 1:
            raise ValueError(f"frames are said at least one at once, not {stride}")
        self.lm, self.ear, self.eye = lm, ear, eye
        self.vocabulary = vocabulary
        self.sampling = sampling
        self.stride = stride
        self.voice = SnacStream(codec, hold)
        self._window = 2 * ear.config.steps * HOP
        self.facts = Facts(
            hears=RATE,
            says=codec.config.sampling_rate,
            context=lm.config.context,
            window=self._window / RATE,
            sounds_per_turn=1,
            history="untrained",
            pictures=True,
            writes=True,
            mixes=False,
            instructions=False,
            pace=codec.config.sampling_rate / codec.config.frame,
        )

    def state(self, rows: int, context: int | None = None) -> MiniOmni2State:
        config, like = self.lm.config, self.lm.embedding
        length = min(context or config.context, config.context)
        return MiniOmni2State(
            self.lm.decoder.cache(2 * rows, length=length, chunk=min(CHUNK, length)),
            self.voice.state(rows),
            torch.zeros(2 * rows, config.dim, device=like.device, dtype=like.dtype),
        )

    # -- prompts ----------------------------------------------------------------------------------------------

    def layout(self, lines: Sequence[Line], manner: Manner) -> list[Piece]:
        """As the contract says: a line of the user's, of one sound, of one sound and one picture, or of text.

        It was trained on that alone, without instructions (``ValueError``). Lines that went before, with the columns of
        its answers, simply stand in front of it.
        """
        pieces: list[Piece] = []
        for line in lines:
            if line.role == "user":
                pieces += self._asked(line, manner)
            elif line.role == "assistant":
                pieces += [part if isinstance(part, Ids) else self._written(part) for part in line.parts]
            else:
                raise ValueError("this model takes no instructions: leave them out")
        if not lines or lines[-1].role != "user":
            raise ValueError("this model answers questions: the last line must be the user's")
        return joined(pieces)

    def _written(self, part: str | Piece) -> Ids:
        """What the model would have said, had it written this and said nothing."""
        if not isinstance(part, str):
            raise ValueError("this model does not hear or see itself: give what it said as text")
        words = torch.tensor(self.vocabulary.encode(part), dtype=torch.int64)
        silent = self.lm.shifted(torch.full((LAYERS, len(words)), self.lm.config.specials.pad_a))
        return _ids(torch.cat([silent, words[None]]))

    def _asked(self, line: Line, manner: Manner) -> list[Piece]:
        sound, picture, text = self._parts(line)
        config = self.lm.config
        if sound is None:
            ids = self.vocabulary.encode(text)
            return [_ids(prompt(config, "T1A2" if manner.speech else "T1T2", text=ids))]
        steps = self._heard(sound)
        task: Task = "A1A2" if manner.speech else "A1T2"
        columns = prompt(config, task, sound=steps, picture=picture is not None)
        if picture is None:
            return [_ids(columns[:, :1]), sound, _ids(columns[:, 1 + steps :])]
        at = PICTURE + 2  # one place too early, over the token that announces the sound: so it was served
        before, after = columns[:, 1 + PICTURE : at], columns[:, at + steps :]
        return [_ids(columns[:, :1]), picture, _ids(before), sound, _ids(after)]

    def _parts(self, line: Line) -> tuple[Sound | None, Picture | None, str]:
        sounds = [part for part in line.parts if isinstance(part, Sound)]
        pictures = [part for part in line.parts if isinstance(part, Picture)]
        text = " ".join(part.strip() for part in line.parts if isinstance(part, str) and part.strip())
        if len(sounds) > 1 or len(pictures) > 1:
            raise ValueError("this model takes one sound and one picture a turn, no more")
        if sounds and text:
            raise ValueError("this model takes a spoken or a written question, not both at once")
        if not sounds and (pictures or not text):
            raise ValueError("this model needs a question: a spoken one where there is a picture")
        if sounds and not 0 < len(sounds[0].wave) <= self._window:
            raise ValueError(f"this model hears from one sample up to {self.facts.window:g} s of a turn")
        return sounds[0] if sounds else None, pictures[0] if pictures else None, text

    def _heard(self, sound: Sound) -> int:
        return min(kept(len(sound.wave)), self.ear.config.steps)

    def size(self, piece: Piece) -> int:
        if isinstance(piece, Ids):
            return len(piece.columns)
        return PICTURE if isinstance(piece, Picture) else self._heard(piece)

    def embed(self, pieces: Sequence[Piece]) -> list[Tensor]:
        """As the contract says. Raises ``ValueError`` for a picture that cannot be read."""
        return woven(pieces, self._read, self._hear, self._see)

    def _read(self, ids: Ids) -> Tensor:
        columns = torch.tensor(ids.columns, dtype=torch.int64, device=self.lm.embedding.device).T
        return self.lm.merge(columns[:, None])[0]

    def _hear(self, sounds: Sequence[Sound]) -> list[Tensor]:
        weight = self.ear.positions
        mel = windowed([torch.from_numpy(sound.wave) for sound in sounds], self._window, self.ear.config.mels)
        heard = self.ear.norm(self.ear(mel.to(weight.device, weight.dtype)))
        counts = [self._heard(sound) for sound in sounds]
        return [self._beside_silence(self.lm.whisper_adapter, row[:n]) for row, n in zip(heard, counts, strict=True)]

    def _see(self, pictures: Sequence[Picture]) -> list[Tensor]:
        weight = self.eye.positions
        pixels = torch.stack([clip.read(picture.file, self.eye.config.size) for picture in pictures])
        seen = self.eye(pixels.to(weight.device, weight.dtype))
        return [self._beside_silence(self.lm.vision_adapter, row) for row in seen]

    def _beside_silence(self, adapter: torch.nn.Module, features: Tensor) -> Tensor:
        """Features in the place of the seven audio rows, beside a text row that says nothing."""
        adapted: Tensor = adapter(features.to(self.lm.embedding.dtype))
        return (LAYERS * adapted + self.lm.embedding[self.lm.config.specials.pad_t]) / (LAYERS + 1)

    # -- reading ----------------------------------------------------------------------------------------------

    def rewind(self, state: MiniOmni2State, row: Rows, position: int) -> None:
        state.cache.position[[2 * each for each in row.host]] = position

    def prefill(self, state: MiniOmni2State, rows: Rows, x: Tensor) -> None:
        self.lm.decoder.stream(x.to(state.coming.dtype), state.cache, _first(rows))

    def begin(
        self,
        state: MiniOmni2State,
        rows: Rows,
        x: Tensor,
        prompts: Sequence[Sequence[Piece]],
        manners: Sequence[Manner],
    ) -> None:
        _first(rows).put(state.coming, x[:, 0].to(state.coming.dtype))
        state.voice.reset(rows)
        for row, pieces, manner in zip(rows.host, prompts, manners, strict=True):
            paired = manner.speech and any(isinstance(piece, Sound) for piece in pieces)
            state.answers[row] = Answering(manner, Saying.begin(self.vocabulary), paired, manner.speech)
            if paired:
                self._double(state, row)

    def _double(self, state: MiniOmni2State, row: int) -> None:
        """The second row of a pair: what the first has read, and another last position."""
        first, second = 2 * row, 2 * row + 1
        length = min(int(state.cache.position[first]), state.cache.capacity)
        for kept_ in (*state.cache.k, *state.cache.v):
            kept_[second, :, :length] = kept_[first, :, :length]
        state.cache.position[second] = state.cache.position[first]
        s = self.lm.config.specials
        silent = torch.full((LAYERS, 1), s.pad_a, device=state.coming.device)
        last = torch.cat([self.lm.shifted(silent), torch.full_like(silent[:1], s.answer_t)])
        state.coming[second] = self.lm.merge(last[..., None])[0, 0].to(state.coming.dtype)

    # -- answering --------------------------------------------------------------------------------------------

    def step(self, state: MiniOmni2State, rows: Rows) -> list[Uttered]:
        answers = [state.answers[row] for row in rows.host]
        speakers = [2 * row for row in rows.host]
        writers = [2 * row + answer.paired for row, answer in zip(rows.host, answers, strict=True)]
        batch = sorted({*speakers, *writers})
        place = {row: n for n, row in enumerate(batch)}
        both = Rows.of(batch, rows.index.device)
        at = state.cache.position[speakers]
        hidden = self.lm.think(both.take(state.coming)[:, None], state.cache, both)[:, 0]
        written = self.lm.text_logits(hidden[[place[row] for row in writers]]).float()
        text = draw(self.sampling, [answer.manner for answer in answers], written, at).tolist()
        spoken = self.lm.audio_logits(hidden[[place[row] for row in speakers]]).argmax(-1).T.tolist()
        ends = [
            self._take(state, answer, audio, token, int(position))
            for answer, audio, token, position in zip(answers, spoken, text, at, strict=True)
        ]
        self._feed(state, both, rows, answers)
        return self._say(state, rows, answers, ends)

    def _take(
        self, state: MiniOmni2State, answer: Answering, audio: list[int], token: int, position: int
    ) -> End | None:
        """The next column, by the reference's rules; why the answer ends, if it does."""
        s, first = self.lm.config.specials, answer.steps == 0
        answer.saying.enter()
        answer.steps += 1
        if not first and (audio[-1] == s.eoa if answer.aloud else token == s.eot):
            answer.columns.append([])
            return "completed"
        if answer.written:
            token = s.pad_t
        elif not first and token == s.eot:
            answer.written = True
        column = [*(audio if answer.aloud else [s.pad_a] * LAYERS), token]
        number = answer.steps - 1
        full = answer.steps == answer.manner.tokens or position + 2 >= state.cache.window
        more = answer.saying.writing.write(token) if token < s.text else ""
        if answer.written or full:
            more += answer.saying.writing.finish()
        answer.saying.write(more, number)
        answer.saying.last = (self._placed(column), answer.saying.writing.chars)
        answer.columns = [*answer.columns, column][-LAYERS - 1 :]
        if answer.aloud and len(answer.columns) > LAYERS:
            frame = [answer.columns[n + 1][n] for n in range(LAYERS)]
            if max(frame) < self.voice.codec.config.codebook_size:
                answer.pending.append(frame)  # a frame with a special token in it cannot be said: it is left out
        return "length" if full else None

    def _placed(self, column: list[int]) -> tuple[int, ...]:
        """A column as it stands in a prompt: each layer in its own part of the vocabulary."""
        c = self.lm.config
        return (*(code + c.text_size + c.audio_size * n for n, code in enumerate(column[:LAYERS])), column[-1])

    def _feed(self, state: MiniOmni2State, both: Rows, rows: Rows, answers: Sequence[Answering]) -> None:
        """What every row of the cache reads next; a writer hears no speech."""
        s, device = self.lm.config.specials, state.coming.device
        columns: dict[int, list[int]] = {}
        for row, answer in zip(rows.host, answers, strict=True):
            column = answer.columns[-1] or [s.pad_a] * (LAYERS + 1)  # after the end nothing is read
            columns[2 * row] = column
            if answer.paired:
                columns[2 * row + 1] = [*[s.pad_a] * LAYERS, column[-1]]
        ids = torch.tensor([columns[row] for row in both.host], device=device).T
        merged = self.lm.merge(torch.cat([self.lm.shifted(ids[:LAYERS]), ids[LAYERS:]])[..., None])
        both.put(state.coming, merged[:, 0].to(state.coming.dtype))

    def _say(
        self, state: MiniOmni2State, rows: Rows, answers: Sequence[Answering], ends: Sequence[End | None]
    ) -> list[Uttered]:
        saying = [
            n
            for n, (answer, end) in enumerate(zip(answers, ends, strict=True))
            if answer.aloud and (end or len(answer.pending) >= self.stride)
        ]
        waves: dict[int, Tensor] = {}
        if saying:
            frames = [torch.tensor(answers[n].pending, dtype=torch.int64).reshape(-1, LAYERS).T for n in saying]
            last = [ends[n] is not None for n in saying]
            waves = dict(zip(saying, self.voice.feed(state.voice, rows.pick(saying), frames, last), strict=True))
            for n in saying:
                answers[n].pending = []
        hop = self.voice.codec.config.frame
        return [
            answer.saying.utter(
                waves.get(n),
                state.voice.spoken[row].said * hop if answer.aloud else -1,
                lambda frame: (frame + 1) * hop,
                end,
            )
            for n, (row, answer, end) in enumerate(zip(rows.host, answers, ends, strict=True))
        ]

    def age(self, state: MiniOmni2State, rows: Rows, positions: int) -> None:
        state.cache.position[[each for row in rows.host for each in (2 * row, 2 * row + 1)]] = positions


def _first(rows: Rows) -> Rows:
    """The first row of the cache of each session."""
    return Rows.of((2 * row for row in rows.host), rows.index.device)


def _ids(columns: Tensor) -> Ids:
    """[8, T] as positions of a prompt."""
    return Ids(tuple(tuple(column) for column in columns.T.tolist()))
