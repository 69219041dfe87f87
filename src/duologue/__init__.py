"""duologue: one runtime on which a person talks with an open speech LLM.

The rooms, from the outside in (imports only ever go downwards):

    cli                 serve · talk · ask · bench
    measure             the figures users compare by, taken from the audible timelines
    server              sockets, page, authentication, limits, metrics
    session             one conversation: clocks, pacing, endpointing, the floor, its backend
    backends            who answers: the contract, ``pocket`` (ear, brain, mouth), neural models in the engine
    engine              the process in which a neural model talks with many people on one clock
    models, codecs      the neural models themselves
    nn, checkpoints     what they share, and how published checkpoints are loaded
    protocol            OpenAI Realtime as a state machine without I/O
    floor               who may speak, as a table
    ears                signals from audio: voice activity, hypotheses
    audio               samples at the edge: formats, files, levels

``docs/architecture.md`` tells the whole story.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"


def load(name: str, *, device: str = "auto", dtype: str = "auto", quantize: str = "none") -> Any:
    """A model that can be driven without a server: frame by frame, whole files, batches (``docs/moshi.md``).

    ``name``: a directory of a published layout, or a repository of the hub (``owner/name``, ``owner/name@revision``).
    The others are as on the command line. Returns the system's own class: a
    :class:`duologue.models.contract.FrameModel` (:class:`duologue.models.moshi.Moshi`,
    :class:`duologue.models.personaplex.PersonaPlex`) or a :class:`duologue.models.contract.TurnModel`
    (:class:`duologue.models.qwen2_audio_turns.Qwen2Audio`, :class:`duologue.models.llama_omni_turns.LlamaOmni`,
    :class:`duologue.models.mini_omni2_turns.MiniOmni2`).
    Raises :class:`duologue.engine.loading.CannotLoad`.
    """
    from duologue.engine import loading

    return loading.load(name, device=device, dtype=dtype, quantize=quantize).model
