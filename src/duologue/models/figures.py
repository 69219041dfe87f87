"""The figures by which people compare speech LLMs, counted from models without memory wherever they can be.

Sources of what is published: Moshi arXiv 2410.00037; PersonaPlex's model card; LLaMA-Omni arXiv 2409.06666, table 3
(latency of the model alone, NVIDIA L40, Ω = 10); Mini-Omni2 arXiv 2410.11190; Qwen2-Audio arXiv 2407.10759.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Final, Literal

from duologue.models import catalogue
from duologue.models.stages import first_response

Who = Literal["native", "by duologue"]
"""Who gives it: the model itself, or the runtime around it."""


@dataclass(frozen=True, slots=True)
class About:
    """What cannot be counted."""

    llm: tuple[str, ...]
    """How names of the language model's tensors begin, ``file:name``; its embeddings and heads are among them."""
    latency: str
    interruption: Who
    proactive: Who
    non_awakening: Who
    inputs: tuple[str, ...]
    output: str
    layers: int
    width: int
    """Of keys (as of values) in each layer of the language model: KV heads times their size."""
    pace: float
    """Positions of the language model for each second that it speaks."""


ABOUT: Final[Mapping[str, About]] = {
    "moshi": About(
        ("lm:",), "200 ms on an L4 (160 ms in theory)",
        "native", "native", "native", ("speech",), "speech", 32, 4096, 12.5,
    ),
    "personaplex": About(
        ("lm:",), "not published in ms",
        "native", "native", "native", ("speech", "text (persona)"), "speech", 32, 4096, 12.5,
    ),
    "llama_omni": About(
        ("model:model.embed", "model:model.layers", "model:model.norm", "model:lm_head"),
        "226 ms on an L40, model alone, Ω = 10", "by duologue", "by duologue", "by duologue",
        ("speech", "text", "image (told by duologue)"), "speech", 32, 1024, 4.0,
    ),
    "mini_omni2": About(
        ("lit_model.pth:",), "not published",
        "by duologue", "by duologue", "by duologue", ("speech", "image", "text"), "speech", 24, 128, 24000 / 2048,
    ),
    "qwen2_audio": About(
        ("model:language_model.",), "not published",
        "by duologue", "by duologue", "by duologue",
        ("speech", "sound", "text", "image (told by duologue)"), "text (read aloud by duologue)", 32, 4096, 4.0,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """One system's line."""

    system: str
    title: str
    llm_parameters: int | None
    """``None``: it has no language model."""
    parameters: int | None
    """Of everything that is loaded."""
    latency_published: str
    latency_computed: str
    """First response on an H200 as a sum of stages (:mod:`.stages`); empty where it is not counted in these."""
    latency_measured: str
    """First response here, with its command and date; or why there is none."""
    interruption: str
    proactive: str
    non_awakening: str
    inputs: tuple[str, ...]
    output: str
    weights_bytes: int | None
    """In bfloat16, the precision of the files."""
    kv_bytes_per_second: int | None
    """Keys and values, in bfloat16, of each second that it speaks."""
    flop_per_second: int | None
    """Two for each parameter of the language model and each position that it takes in a second of speech."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def figures(measured: Mapping[str, str]) -> list[Figures]:
    """Every system's, pocket first. ``measured``: by system, what a bench wrote of its first response."""
    missing = "not measured here"
    pocket = Figures(
        "pocket", "pocket (embedded default)", None, None, "", "", measured.get("pocket", missing),
        "by duologue", "native", "native", ("speech", "text", "image"), "speech", None, None, None,
    )  # fmt: skip
    return [pocket, *(_counted(name, about, measured.get(name, missing)) for name, about in ABOUT.items())]


def _counted(name: str, about: About, measured: str) -> Figures:
    system = catalogue.system(name)
    tables = system.manifest().items()
    sizes = {f"{file}:{tensor}": prod(shape) for file, table in tables for tensor, shape in table.items()}
    llm = sum(size for tensor, size in sizes.items() if tensor.startswith(about.llm))
    return Figures(
        system=name,
        title=system.title,
        llm_parameters=llm,
        parameters=sum(sizes.values()),
        latency_published=about.latency,
        latency_computed=first_response(name, sizes),
        latency_measured=measured,
        interruption=about.interruption,
        proactive=about.proactive,
        non_awakening=about.non_awakening,
        inputs=about.inputs,
        output=about.output,
        weights_bytes=2 * sum(sizes.values()),
        kv_bytes_per_second=round(2 * 2 * about.layers * about.width * about.pace),
        flop_per_second=round(2 * llm * about.pace),
    )
