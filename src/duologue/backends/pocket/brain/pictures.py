"""Pictures, looked at without any training: what is drawn on a plain ground, by colour and shape.

file → pixels, turned upright and brought to about 200 a side → each pixel's colour by name → patches of one colour
→ the ground (what the edge mostly is) and the things on it, each with its shape. What is only drawn in lines is looked
for where there is nothing else.

Photographs have colours too, but hardly a shape of this kind; then the colours are all that is seen.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from duologue.backends.pocket.brain.shapes import Labels, Mask, ShapeName, inside, is_outline, patches, shape_of

log = structlog.get_logger("duologue.pocket")

MOST_PIXELS: Final = 50_000_000
"""A picture of more is not decoded."""

SIDE: Final = 200
"""Pixels of the longer side of the picture that is looked at."""

LEAST: Final = 0.003
"""Of the picture's area; smaller patches are no things."""

MANY: Final = 24
"""More things than this are no drawing: it is a photograph, and nothing in it is called a shape."""

_PLAIN: Final = 0.6
"""Of the picture's edge that must be of one colour for it to be the ground."""

COLOURS: Final = ("black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown")
Colours: TypeAlias = NDArray[np.uint8]
"""The colour of each pixel, as its place in :data:`COLOURS`; shape [height, width]."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something on the ground."""

    colour: str
    shape: ShapeName | None
    """``None``: one that has no name here."""
    share: float
    """Of the picture's area, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen."""

    ground: str | None
    """The ground's colour; ``None`` where there is no plain ground."""
    things: tuple[Thing, ...]
    """The largest first."""
    shares: Mapping[str, float]
    """Colours and how much of the picture each takes, the most first; those that take hardly anything are left out."""


def see(data: bytes) -> Sight | None:
    """What a PNG or JPEG file shows; ``None`` where it can not be decoded. Takes up to a second for a huge one."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MOST_PIXELS:
                log.info("picture not decoded, for it is too large", width=image.width, height=image.height)
                return None
            image.draft("RGB", (2 * SIDE, 2 * SIDE))  # a JPEG can be decoded small at once
            small = _small(image)
    except (
        Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError, IndexError, struct.error, zlib.error
    ) as error:  # fmt: skip
        # Everything that Pillow's decoders raise at broken files.
        log.info("picture could not be decoded", cause=str(error))
        return None
    clean = _evened(_named(small.filter(ImageFilter.MedianFilter(3))))
    return _understood(clean, _named(small))


def _small(image: Image.Image) -> Image.Image:
    """Upright, on white where it is transparent, of the size to be looked at."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        upright = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
    rgb = upright.convert("RGB")
    longer = max(rgb.size)
    if longer > SIDE:
        size = (max(1, round(rgb.width * SIDE / longer)), max(1, round(rgb.height * SIDE / longer)))
        rgb = rgb.resize(size, Image.Resampling.BOX)
    elif longer <= SIDE // 2:
        times = SIDE // longer
        if longer > 24:
            rgb = rgb.filter(ImageFilter.MedianFilter(3))  # before single pixels become squares
        rgb = rgb.resize((rgb.width * times, rgb.height * times), Image.Resampling.NEAREST)
    return rgb


def _named(image: Image.Image) -> Colours:
    hue, saturation, value = (
        np.asarray(band, np.float32) * scale
        for band, scale in zip(image.convert("HSV").split(), (360 / 256, 1 / 255, 1 / 255), strict=True)
    )
    named = np.select(
        [
            value < 0.22,
            (saturation < 0.14) & (value > 0.82),
            saturation < 0.18,
            (hue < 20) & (value < 0.7) & (saturation < 0.85),
            (hue < 14) | (hue >= 345),
            (hue < 45) & (value < 0.72) | (hue < 30) & (value < 0.84),
            hue < 40,
            hue < 68,
            hue < 168,
            hue < 258,
            (hue < 298) | (hue < 325) & (value < 0.75),
        ],
        [COLOURS.index(name) for name in ("black", "white", "grey", "brown", "red", "brown", "orange", "yellow",
                                          "green", "blue", "purple")],
        COLOURS.index("pink"),
    ).astype(np.uint8)  # fmt: skip
    pale_red = (named == COLOURS.index("red")) & (saturation < 0.62) & (value > 0.7)
    named[pale_red] = COLOURS.index("pink")
    return named


def _evened(colours: Colours) -> Colours:
    """Each pixel of the colour that is commonest around it: the blurred edge between two colours is not a third."""
    return np.asarray(Image.fromarray(colours).filter(ImageFilter.ModeFilter(5)), np.uint8)


def _understood(clean: Colours, raw: Colours) -> Sight:
    """``clean`` is without noise, and so without thin lines; ``raw`` has both."""
    area = clean.size
    counts = np.bincount(clean.ravel(), minlength=len(COLOURS))
    order = np.argsort(-counts, kind="stable").tolist()
    shares = {COLOURS[name]: int(counts[name]) / area for name in order if counts[name] >= 0.02 * area}
    edge = np.concatenate((clean[0], clean[-1], clean[:, 0], clean[:, -1]))
    ground = int(np.bincount(edge).argmax())
    if np.mean(edge == ground) < _PLAIN:
        return Sight(None, (), shares)
    things, lines = [], np.zeros(clean.shape, np.bool_)
    for mask in _large(patches(raw != ground, diagonal=True), LEAST / 2):
        if raw[mask][0] != ground and is_outline(mask) and (shape := shape_of(mask)):
            lines |= mask
            things.append(Thing(COLOURS[int(np.bincount(raw[mask]).argmax())], shape, int(mask.sum()) / area))
    for mask in _large(patches(clean), LEAST):
        colour = int(clean[mask][0])
        if colour == ground or lines[mask].mean() > 0.5:  # the ground itself, the inside of an outline, or its line
            continue
        if not is_outline(mask) or np.mean(clean[inside(mask)] == ground) > 0.5:  # else it is something's border
            things.append(Thing(COLOURS[colour], shape_of(mask), int(mask.sum()) / area))
    if len(things) > MANY:
        return Sight(None, (), shares)
    return Sight(COLOURS[ground], tuple(sorted(things, key=lambda thing: -thing.share)), shares)


def _large(labels: Labels, least: float) -> Iterator[Mask]:
    """The patches that take at least this share of the picture."""
    sizes = np.bincount(labels.ravel())
    for label in np.flatnonzero(sizes >= least * labels.size).tolist():
        yield labels == label
