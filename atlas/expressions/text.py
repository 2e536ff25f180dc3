"""Columns of text: which rows equal a word or hold one, and words to choose from.

Text is stored as UTF-8 bytes of one width, a missing one as nothing. Whole texts are compared as they are; what a text
holds is looked for whatever the case of the letters a to z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOWER = bytes(range(256)).lower()
SEARCHED_ROWS = 500_000
PIECE_ROWS = 1 << 15


def equals(values: NDArray[Any], word: str) -> NDArray[np.bool_]:
    """Mask of the texts that are a word.

    Parameters
    ----------
    values : ndarray of shape (m,), bytes
    word : str
    """
    found: NDArray[np.bool_] = values == np.bytes_(word.encode())
    return found


def contains(values: NDArray[Any], word: str) -> NDArray[np.bool_]:
    """Mask of the texts that hold a word, whatever the case of its letters a to z.

    Parameters
    ----------
    values : ndarray of shape (m,), bytes
    word : str
        Not empty.
    """
    # One table for all bytes: numpy's own `lower` takes five times as long.
    lowered = np.frombuffer(values.tobytes().translate(_LOWER), dtype=values.dtype)
    found: NDArray[np.bool_] = np.strings.find(lowered, word.encode().translate(_LOWER)) >= 0
    return found


def examples(values: NDArray[Any], typed: str, most: int) -> list[str]:
    """Some different texts that hold what was typed, those that begin with it first.

    Parameters
    ----------
    values : ndarray of shape (n,), bytes
        Looked through from its beginning, `SEARCHED_ROWS` at most.
    typed : str
        May be empty.
    most : int
    """
    first: dict[str, None] = {}
    then: dict[str, None] = {}
    for start in range(0, min(values.size, SEARCHED_ROWS), PIECE_ROWS):
        piece = np.asarray(values[start : start + PIECE_ROWS])
        held = piece[contains(piece, typed) if typed else piece != b""]
        for value in np.unique(held).tolist():
            text = value.decode("utf-8", errors="replace")
            (first if text.lower().startswith(typed.lower()) else then)[text] = None
        if len(first) >= most:
            break
    return [*first, *then][:most]
