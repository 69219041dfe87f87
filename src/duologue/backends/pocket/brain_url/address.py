"""Where the brain is, and how it may be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

PATIENCE = 30.0
"""Seconds that an answer may let wait for its first word. Models that must be loaded first take as long as that."""

_ROUTE = "/chat/completions"


class BrainAddressError(ValueError):
    """No brain can be reached like this; the message names the cause and the remedy."""


@dataclass(frozen=True, slots=True)
class BrainAddress:
    """An OpenAI-compatible chat endpoint. Raises :class:`BrainAddressError` for a URL that is none."""

    url: str
    """What such clients call the base URL, ``http://127.0.0.1:11434/v1``; normalised to have no slash at its end."""
    model: str | None = None
    """``None``: the first that the endpoint lists when it is first asked."""
    key: str | None = field(default=None, repr=False)
    speculate: bool = False
    """Whether replies are prepared while the person may still go on: quicker, but some requests are for nothing."""
    patience: float = PATIENCE
    """Seconds until the first word of an answer; later ones may not let wait for longer either."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BrainAddressError(
                f"{self.url!r} is no address of a brain; give the base URL of an OpenAI-compatible endpoint, "
                "such as http://127.0.0.1:11434/v1"
            )
        if parts.username is not None or parts.query or parts.fragment:
            raise BrainAddressError(
                "the brain's URL may hold no user, password, query or fragment; give its key by DUOLOGUE_BRAIN_KEY"
            )
        path = parts.path.rstrip("/").removesuffix(_ROUTE).rstrip("/")
        object.__setattr__(self, "url", f"{parts.scheme}://{parts.netloc}{path or '/v1'}")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and self.key.strip()):
            raise BrainAddressError("the brain's key holds characters that no HTTP header can carry; is it cut off?")
        if self.patience <= 0:
            raise BrainAddressError(f"no brain answers within {self.patience:g} s; give it some")

    @property
    def completions(self) -> str:
        """The URL that answers."""
        return self.url + _ROUTE


def from_options(
    brain: str | None, brain_model: str | None, brain_key: str | None, brain_timeout: float, brain_speculate: bool
) -> BrainAddress | None:
    """The address that a command's options give; ``None``: they name none. Raises :class:`BrainAddressError`."""
    if brain is not None:
        return BrainAddress(brain, brain_model, brain_key, speculate=brain_speculate, patience=brain_timeout)
    if brain_model is not None or brain_speculate:
        raise BrainAddressError("--brain-model and --brain-speculate go with --brain URL")
    return None
