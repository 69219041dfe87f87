"""Patches of one colour, and which simple shape each is: circle, oval, square, rectangle, triangle, turned or not.

A shape is told by its convex hull. A hull is a triangle if the largest triangle in it fills it, a rectangle if it fills
the smallest rectangle around it, an ellipse if it fills π/4 of that rectangle and its edge is nowhere far from one.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Labels: TypeAlias = NDArray[np.intp]
Mask: TypeAlias = NDArray[np.bool_]
Points: TypeAlias = NDArray[np.float64]
"""Shape [n, 2], x and y."""

ShapeName: TypeAlias = Literal["circle", "oval", "square", "rectangle", "triangle"]

_SOLID: Final = 0.86
"""Of its hull that a patch must fill, holes filled; below, it is a star, a letter, a cross."""

_EVEN: Final = 0.85
"""The shorter side by the longer, from which on a rectangle is a square and an oval a circle."""

_CORNERS: Final = 28
"""Points of a hull that are enough to find its largest triangle."""


_THIN: Final = 0.5
"""Of what it encloses that an outline takes at most."""


def patches(values: NDArray[Any], *, diagonal: bool = False) -> Labels:
    """A label for every pixel of ``values`` [height, width], the same for neighbours of the same value.

    A pixel has four neighbours, or eight with the ``diagonal`` ones, by which thin slanting lines hang together.

    Labels are whole numbers from 0 on, without gaps. Union-find over all pairs of neighbours at once: each round
    hooks every label to the least beside it and then follows the hooks to their end.
    """
    place = np.arange(values.size).reshape(values.shape)
    pairs = [((slice(None), slice(1, None)), (slice(None), slice(None, -1))), ((slice(1, None),), (slice(None, -1),))]
    if diagonal:
        pairs += [
            ((slice(1, None), slice(1, None)), (slice(None, -1), slice(None, -1))),
            ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))),
        ]
    alike = [(values[here] == values[there], here, there) for here, there in pairs]
    one = np.concatenate([place[here][same] for same, here, _ in alike])
    other = np.concatenate([place[there][same] for same, _, there in alike])
    label = np.arange(values.size)
    while True:
        roots, others = label[one], label[other]
        if np.array_equal(roots, others):
            break
        np.minimum.at(label, np.maximum(roots, others), np.minimum(roots, others))
        while not np.array_equal(label, further := label[label]):
            label = further
    return np.unique(label, return_inverse=True)[1].reshape(values.shape)


def _box(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns that hold all of the mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def inside(mask: Mask) -> Mask:
    """What the mask encloses without being it."""
    enclosed: Mask = _filled(mask) & ~mask
    return enclosed


def is_outline(mask: Mask) -> bool:
    """Whether the mask is hardly more than the line around something."""
    mask = mask[_box(mask)]
    return bool(mask.sum() < _THIN * _filled(mask).sum())


def shape_of(mask: Mask) -> ShapeName | None:
    """What the pixels of ``mask`` [height, width] form, by their outline; ``None``: nothing with a name here."""
    mask = _filled(mask[_box(mask)])
    hull = _hull(_corners(mask))
    area = _area(hull)
    if min(mask.shape) < 4 or mask.sum() < _SOLID * area:
        return None
    if area < 1.22 * _largest_triangle(hull):
        return "triangle"
    around, longer, shorter, turned = _rectangle_around(hull)
    even = shorter >= _EVEN * longer
    # The hull runs along the pixels' outer corners, which adds half a pixel to every slanting side.
    blur = 1.5 / shorter
    if area > (0.9 - blur / 2) * around:
        return "square" if even else "rectangle"
    if abs(area / around - np.pi / 4) < 0.035 + blur and _roundness(turned) < 0.05 + blur:
        return "circle" if even else "oval"
    return None


def _filled(mask: Mask) -> Mask:
    """The mask with its holes, so that an outline is what it encloses."""
    outside = patches(np.pad(mask, 1))
    filled: Mask = (outside != outside[0, 0])[1:-1, 1:-1]
    return filled


def _corners(mask: Mask) -> Points:
    """The corners of the first and last pixel of every row; the hull of a mask is that of these."""
    rows = np.flatnonzero(mask.any(axis=1))
    first, last = mask.argmax(axis=1)[rows], mask.shape[1] - mask[:, ::-1].argmax(axis=1)[rows]
    points = [(x, y + below) for edge in (first, last) for x, y in zip(edge, rows, strict=True) for below in (0, 1)]
    return np.unique(np.array(points, np.float64), axis=0)


def _hull(points: Points) -> Points:
    """The convex hull, in order (Andrew's monotone chain). ``points`` are sorted by x, then y."""

    def half(ordered: Points) -> list[tuple[float, float]]:
        chain: list[tuple[float, float]] = []
        for x, y in ordered.tolist():
            while len(chain) > 1:
                (ax, ay), (bx, by) = chain[-2:]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                chain.pop()
            chain.append((x, y))
        return chain[:-1]

    return np.array(half(points) + half(points[::-1]))


def _area(hull: Points) -> float:
    x, y = hull.T
    return float(abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2)


def _largest_triangle(hull: Points) -> float:
    """The area of the largest triangle of the hull's points (some of them, where there are many)."""
    chosen = hull[np.linspace(0, len(hull), _CORNERS, endpoint=False).astype(int)] if len(hull) > _CORNERS else hull
    a, b, c = (chosen[list(places)] for places in zip(*combinations(range(len(chosen)), 3), strict=True))
    u, v = b - a, c - a
    return float(np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).max() / 2)


def _rectangle_around(hull: Points) -> tuple[float, float, float, Points]:
    """The smallest rectangle around the hull: area, longer side, shorter side; and the hull turned to lie along it.

    One of its sides lies along one of the hull's.
    """
    sides = np.roll(hull, -1, axis=0) - hull
    best: tuple[float, float, float, Points] | None = None
    for angle in np.arctan2(sides[:, 1], sides[:, 0]).tolist():
        cosine, sine = np.cos(angle), np.sin(angle)
        turned: Points = hull @ np.array([[cosine, -sine], [sine, cosine]])
        width, height = np.ptp(turned, axis=0).tolist()
        if best is None or width * height < best[0]:
            best = (width * height, max(width, height), min(width, height), turned)
    assert best is not None
    return best


def _roundness(turned: Points) -> float:
    """How far the hull's corners are from an ellipse in the rectangle around them; 0: all lie on it."""
    low, high = turned.min(axis=0), turned.max(axis=0)
    radii = np.hypot(*((2 * turned - low - high) / (high - low)).T)
    return float(np.std(radii))
