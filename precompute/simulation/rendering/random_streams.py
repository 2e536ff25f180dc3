"""Random numbers that belong to a galaxy: the same whatever thread, chunk or order draws them.

A stream is named by the survey's seed, the galaxy's number and a purpose; SplitMix64 (Steele, Lea & Flood 2014,
OOPSLA, p. 453) walks it. No stream is ever shared, so none has to be advanced before another can be drawn from.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Stream = NDArray[np.uint64]
F = TypeVar("F", bound=Callable[..., Any])

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53

CODE_DIGEST = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parents[1].rglob("*.py")))
).hexdigest()[:16]
_CACHE = Path(__file__).parent / "__pycache__" / f"numba-{CODE_DIGEST}"


def compiled(function: F) -> F:
    """Compile with numba, the GIL released; the machine code is kept beside Python's own.

    Numba's cache does not notice a change in what a function calls in another module, so each state of these modules
    has a cache of its own. Where the folder cannot be written, every process compiles anew.
    """
    before = numba.config.CACHE_DIR
    can_keep = os.access(_CACHE.parent.parent, os.W_OK)
    numba.config.CACHE_DIR = str(_CACHE)
    try:
        result: F = numba.njit(nogil=True, error_model="numpy", cache=can_keep)(function)
    finally:
        numba.config.CACHE_DIR = before
    return result


@compiled
def mix(value: np.uint64) -> np.uint64:
    """SplitMix64's finaliser: every bit of the input reaches every bit of the output."""
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return value ^ (value >> np.uint64(31))


@compiled
def open_stream(seed: int, number: int, purpose: int) -> Stream:
    """The stream of a galaxy for one purpose: an array of one, its state."""
    state = np.empty(1, np.uint64)
    state[0] = mix(mix(np.uint64(seed) + _GOLDEN) ^ mix(np.uint64(number) * _GOLDEN + np.uint64(purpose) + _FIRST))
    return state


@compiled
def uniform(stream: Stream, low: float, high: float) -> float:
    """A number in [low, high)."""
    stream[0] += _GOLDEN
    return low + (high - low) * (np.float64(mix(stream[0]) >> np.uint64(11)) * _TO_UNIT)


@compiled
def normal(stream: Stream) -> float:
    """A standard normal number (Box & Muller 1958, Ann. Math. Stat. 29, 610)."""
    radius = np.sqrt(-2.0 * np.log(1.0 - uniform(stream, 0.0, 1.0)))
    return float(radius * np.cos(uniform(stream, 0.0, 2.0 * np.pi)))


@compiled
def fill_normal(stream: Stream, out: NDArray[np.float32]) -> None:
    """Fill a one-dimensional array with standard normal numbers; both of each pair are used."""
    for i in range(0, out.size, 2):
        radius = np.sqrt(-2.0 * np.log(1.0 - uniform(stream, 0.0, 1.0)))
        angle = uniform(stream, 0.0, 2.0 * np.pi)
        out[i] = radius * np.cos(angle)
        if i + 1 < out.size:
            out[i + 1] = radius * np.sin(angle)


@compiled
def poisson(stream: Stream, mean: float) -> int:
    """A Poisson number of a small mean, by multiplication (Knuth 1997, TAOCP 2, 3.4.1)."""
    limit = np.exp(-mean)
    product = uniform(stream, 0.0, 1.0)
    count = 0
    while product > limit:
        product *= uniform(stream, 0.0, 1.0)
        count += 1
    return count


@compiled
def power_law_magnitude(stream: Stream, bright: float, faint: float, slope: float) -> float:
    """A magnitude between two, with counts that grow as 10^(slope · magnitude)."""
    low, high = 10.0 ** (slope * bright), 10.0 ** (slope * faint)
    return float(np.log10(uniform(stream, low, high)) / slope)


@compiled
def draw_normals(seed: int, numbers: NDArray[np.int64], purpose: int, count: int) -> NDArray[np.float32]:
    """`count` standard normal numbers of each of some galaxies, shape (n, count)."""
    out = np.empty((len(numbers), count), np.float32)
    for i in range(len(numbers)):
        fill_normal(open_stream(seed, numbers[i], purpose), out[i])
    return out
