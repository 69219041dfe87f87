"""What pocket sees on a picture, and what it says about it."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from duologue.backends.contract import Ask, Message
from duologue.backends.pocket.brain import Brain, Utterance
from duologue.backends.pocket.brain.pictures import COLOURS, see
from duologue.backends.pocket.brain.shapes import patches

Draw = Callable[[ImageDraw.ImageDraw, float], None]


def drawn(draw: Draw, side: int = 300, ground: str = "white") -> Image.Image:
    """``draw`` is given the pen and the size of a hundredth of the side."""
    image = Image.new("RGB", (side, side), ground)
    draw(ImageDraw.Draw(image), side / 100)
    return image


def file(image: Image.Image, kind: str = "PNG", **how: int) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **how)
    return data.getvalue()


def four(pen: ImageDraw.ImageDraw, u: float) -> None:
    pen.ellipse((5 * u, 5 * u, 35 * u, 35 * u), fill="red")
    pen.rectangle((50 * u, 8 * u, 78 * u, 36 * u), fill="blue")
    pen.rectangle((8 * u, 60 * u, 50 * u, 80 * u), fill="green")
    pen.polygon([(60 * u, 90 * u), (95 * u, 90 * u), (78 * u, 55 * u)], fill="yellow")


FOUR = {("red", "circle"), ("blue", "square"), ("green", "rectangle"), ("yellow", "triangle")}


def things(data: bytes) -> list[tuple[str, str | None]]:
    sight = see(data)
    assert sight is not None
    return [(thing.colour, thing.shape) for thing in sight.things]


# -- seeing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", [64, 100, 150, 200, 333, 640, 1_600, 4_000])
def test_shapes_and_colours_at_any_size(side: int) -> None:
    data = file(drawn(four, side))
    assert sorted(things(data)) == sorted(FOUR)
    sight = see(data)
    assert sight is not None
    assert sight.ground == "white"
    assert abs(sight.shares["white"] - 0.7) < 0.05


@pytest.mark.parametrize("side", [150, 300, 800])
@pytest.mark.parametrize("noise", [10, 25])
def test_through_noise(side: int, noise: float) -> None:
    clean = np.asarray(drawn(four, side), np.float32)
    noisy = clean + np.random.default_rng(side).normal(0, noise, clean.shape)
    assert set(things(file(Image.fromarray(noisy.clip(0, 255).astype(np.uint8))))) == FOUR


@pytest.mark.parametrize("side", [200, 400, 1_000])
@pytest.mark.parametrize("quality", [50, 90])
def test_as_jpeg(side: int, quality: int) -> None:
    assert set(things(file(drawn(four, side), "JPEG", quality=quality))) == FOUR


@pytest.mark.parametrize("angle", range(0, 90, 15))
@pytest.mark.parametrize(
    ("shape", "corners"),
    [
        ("square", [(30, 30), (70, 30), (70, 70), (30, 70)]),
        ("rectangle", [(20, 35), (80, 35), (80, 65), (20, 65)]),
        ("triangle", [(30, 75), (70, 75), (50, 25)]),
        ("triangle", [(20, 70), (80, 70), (35, 45)]),
    ],
)
def test_turned_shapes_keep_their_names(shape: str, corners: list[tuple[int, int]], angle: int) -> None:
    image = drawn(lambda pen, u: pen.polygon([(x * u, y * u) for x, y in corners], fill="purple"))
    turned = image.rotate(angle, fillcolor="white", resample=Image.Resampling.BICUBIC)
    assert things(file(turned)) == [("purple", shape)]


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_what_is_drawn_in_lines(width: int) -> None:
    def lines(pen: ImageDraw.ImageDraw, u: float) -> None:
        pen.ellipse((10 * u, 10 * u, 45 * u, 45 * u), outline="black", width=width)
        pen.rectangle((55 * u, 55 * u, 90 * u, 90 * u), outline="black", width=width)

    assert sorted(shape or "" for _, shape in things(file(drawn(lines)))) == ["circle", "square"]


def test_a_border_is_no_thing_and_a_frame_is() -> None:
    def framed(pen: ImageDraw.ImageDraw, u: float) -> None:
        pen.ellipse((10 * u, 10 * u, 40 * u, 40 * u), fill="red", outline="black", width=9)
        pen.rectangle((50 * u, 50 * u, 95 * u, 95 * u), outline="blue", width=6)
        pen.polygon([(60 * u, 85 * u), (85 * u, 85 * u), (72 * u, 62 * u)], fill="green")

    assert set(things(file(drawn(framed)))) == {("red", "circle"), ("blue", "square"), ("green", "triangle")}


def test_an_oval_is_no_circle_and_a_star_is_nothing_with_a_name() -> None:
    def both(pen: ImageDraw.ImageDraw, u: float) -> None:
        pen.ellipse((5 * u, 10 * u, 60 * u, 35 * u), fill="orange")
        rim = [(20 if n % 2 else 8, n * np.pi / 5) for n in range(10)]
        pen.polygon([(65 * u + r * u * np.cos(a), 70 * u + r * u * np.sin(a)) for r, a in rim], fill="blue")

    assert sorted(things(file(drawn(both))), key=str) == [("blue", None), ("orange", "oval")]


@pytest.mark.parametrize(
    ("paint", "name"),
    [
        ("red", "red"), ("darkred", "red"), ("crimson", "red"), ("orange", "orange"), ("darkorange", "orange"),
        ("yellow", "yellow"), ("gold", "yellow"), ("green", "green"), ("lime", "green"), ("darkgreen", "green"),
        ("blue", "blue"), ("navy", "blue"), ("skyblue", "blue"), ("purple", "purple"), ("indigo", "purple"),
        ("pink", "pink"), ("hotpink", "pink"), ("magenta", "pink"), ("brown", "brown"), ("chocolate", "brown"),
        ("black", "black"), ("grey", "grey"), ("silver", "grey"),
    ],
)  # fmt: skip
def test_colours_by_their_names(paint: str, name: str) -> None:
    image = drawn(lambda pen, u: pen.ellipse((30 * u, 30 * u, 70 * u, 70 * u), fill=paint))
    assert things(file(image)) == [(name, "circle")]


def test_a_white_square_on_black() -> None:
    image = drawn(lambda pen, u: pen.rectangle((30 * u, 30 * u, 70 * u, 70 * u), fill="white"), ground="black")
    assert things(file(image)) == [("white", "square")]


def test_transparency_is_white_and_a_turned_photograph_upright() -> None:
    clear = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    ImageDraw.Draw(clear).rectangle((50, 50, 150, 150), fill=(0, 0, 255, 255))
    sight = see(file(clear))
    assert sight is not None
    assert (sight.ground, things(file(clear))) == ("white", [("blue", "square")])
    wide = Image.new("RGB", (400, 200), "red")
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    wide.save(data, "JPEG", exif=exif)
    sight = see(data.getvalue())
    assert sight is not None
    assert sight.ground == "red"


@pytest.mark.parametrize("kind", ["1", "L", "P", "CMYK", "I;16", "RGBA", "LA"])
def test_every_kind_of_pixels(kind: str) -> None:
    image = Image.new("RGB", (120, 80), "white")
    converted = Image.new(kind, (120, 80)) if kind == "I;16" else image.convert(kind)
    sight = see(file(converted, "JPEG" if kind == "CMYK" else "PNG"))
    assert sight is not None
    assert sight.ground == ("black" if kind == "I;16" else "white")


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (3_000, 2), (7, 7)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    sight = see(file(Image.new("RGB", size, "green")))
    assert sight is not None
    assert (sight.ground, sight.things) == ("green", ())


def test_a_photograph_has_colours_but_no_shapes() -> None:
    noise = np.random.default_rng(3).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    photograph = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC)
    sight = see(file(photograph, "JPEG"))
    assert sight is not None
    assert sight.ground is None
    assert not sight.things
    assert len(sight.shares) > 2


def _png(width: int, height: int) -> bytes:
    """A file that says it has so many pixels and brings none."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


WHOLE = file(drawn(four, 100))
BROKEN = {
    "nothing": b"",
    "no picture": b"\x89PNG\r\n\x1a\nhello",
    "half": WHOLE[: len(WHOLE) // 2],
    "half a JPEG": file(drawn(four), "JPEG")[:700],
    "too many pixels": _png(60_000, 60_000),
    "no pixels": _png(100, 100),
    "another format": file(Image.new("RGB", (9, 9)), "GIF"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_seen_is_said_to_be(kind: str) -> None:
    begun = time.process_time()
    assert see(BROKEN[kind]) is None
    assert time.process_time() - begun < 1.0


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_no_broken_byte_breaks_it(at: int, value: int) -> None:
    sight = see(WHOLE[:at] + bytes([value]) + WHOLE[at + 1 :])
    assert sight is None or set(sight.shares) <= set(COLOURS)


@given(
    arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 2)),
    st.booleans(),
)
@settings(max_examples=60)
def test_patches_are_what_hangs_together(values: np.ndarray, diagonal: bool) -> None:  # type: ignore[type-arg]
    labels = patches(values, diagonal=diagonal)
    seen: dict[tuple[int, int], int] = {}
    count = 0
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)] + ([(1, 1), (1, -1), (-1, 1), (-1, -1)] if diagonal else [])
    for start in np.ndindex(*values.shape):
        if start in seen:
            continue
        seen[start] = count
        todo = [start]
        while todo:
            y, x = todo.pop()
            for dy, dx in steps:
                there = (y + dy, x + dx)
                inside = 0 <= there[0] < values.shape[0] and 0 <= there[1] < values.shape[1]
                if inside and there not in seen and values[there] == values[y, x]:
                    seen[there] = count
                    todo.append(there)
        count += 1
    pairs = {(int(labels[place]), patch) for place, patch in seen.items()}
    assert len(pairs) == count == labels.max() + 1


# -- speaking of it -----------------------------------------------------------------------------------------


def brain() -> Brain:
    return Brain(now=lambda: datetime(2026, 5, 4, 9, 0), seed=1)


async def told(question: str | None, image: bytes | None, *, aloud: bool = True, beside: str = "") -> str:
    """The answer to ``question`` (``None``: to the picture itself) in a conversation with ``image``."""
    one = brain()
    history = [Message("user", beside, (image,))] if image is not None else []
    await one.look(history)
    utterance = Utterance(question, spoken=aloud) if question is not None else None
    return one.plan(utterance, ask=Ask(), history=history, since_exchange=None).clauses.heard(None)


def pair(pen: ImageDraw.ImageDraw, u: float) -> None:
    pen.ellipse((5 * u, 5 * u, 45 * u, 45 * u), fill="red")
    pen.ellipse((60 * u, 60 * u, 85 * u, 85 * u), fill="red")
    pen.rectangle((50 * u, 8 * u, 78 * u, 36 * u), fill="orange")


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (None, "I see two red circles and an orange square on a white background."),
        ("what do you see", "I see two red circles and an orange square on a white background."),
        ("what colour is the square", "The square is orange."),
        ("what colour are the circles", "The two circles are all red."),
        ("what colour is the triangle", "I see no triangle in it."),
        ("what colour is the background", "The background is white."),
        ("which colours do you see", "I see red and orange on white."),
        ("what colour is it", "The three things are red and orange."),
        ("how many circles are there", "I see two circles."),
        ("how many red circles do you see", "I see two red circles."),
        ("how many red things are there", "I see two red things."),
        ("how many orange squares are there", "I see one orange square."),
        ("how many triangles are there", "I see no triangles."),
        ("how many things do you see", "I see three things."),
        ("which shapes do you see", "I see two red circles and an orange square."),
        ("what shape is the orange one", "It is a square."),
        ("what shape is the blue one", "I see nothing blue there."),
        ("is there a red circle", "Yes, I see two red circles."),
        ("is there a blue square", "No, I only see an orange square."),
        ("do you see a triangle", "No, I see no triangle."),
        ("is there anything white", "Yes, there is some white."),
        ("is there anything green in the picture", "No, I see nothing green."),
        ("is the square orange", "Yes, I see an orange square."),
    ],
)
async def test_questions(question: str | None, answer: str) -> None:
    assert await told(question, file(drawn(pair))) == answer


async def test_one_thing_is_it() -> None:
    image = file(drawn(lambda pen, u: pen.rectangle((30 * u, 40 * u, 90 * u, 60 * u), fill="green")))
    assert await told("what colour is it", image) == "It is green."
    assert await told("what shape is it", image) == "It is a rectangle."
    assert await told("is it red", image) == "No, I see nothing red."
    assert await told("is it a rectangle", image) == "Yes, I see a green rectangle."


async def test_written_beside_the_picture() -> None:
    image = file(drawn(pair))
    assert await told(None, image, beside="how many squares are there?") == "I see one square."
    for vague in ("what's this?", "look", "What do you think about this one"):
        assert (await told(None, image, beside=vague)).startswith("I see two red circles"), vague
    assert "o'clock" in await told(None, image, beside="what time is it?")


async def test_the_last_picture_counts() -> None:
    one = brain()
    first, last = file(drawn(four)), file(Image.new("RGB", (50, 50), "blue"))
    history = [Message("user", "", (first,)), Message("assistant", "I see."), Message("user", "", (last,))]
    await one.look(history)
    plan = one.plan(Utterance("what do you see"), ask=Ask(), history=history)
    assert plan.clauses.heard(None) == "I see nothing but blue."


async def test_without_shapes_the_colours_are_told() -> None:
    bands = drawn(lambda pen, u: pen.rectangle((0, 60 * u, 100 * u, 100 * u), fill="green"), ground="skyblue")
    assert await told("what do you see", file(bands)) == "I see mostly blue and green, but no simple shapes."


async def test_a_broken_picture_is_not_seen() -> None:
    for question in (None, "what do you see", "what colour is it", "how many circles are there", "is there a circle"):
        assert "could not see your picture" in await told(question, WHOLE[:200]), question
    assert "no picture yet" in await told("what do you see", None)
