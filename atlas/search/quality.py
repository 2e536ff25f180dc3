"""Quality that a build measured of itself: how often its search is right, and how far its map can be believed.

    spaces/<name>/quality.json     `Quality`

Recall differs by kind of query, so it is measured for each, on a ladder of settings. The page takes the cheapest one
that reaches what it wants (`choose_setting`) and shows the recall of exactly that kind and setting, or "not measured".
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from atlas.errors import FormatError, shorten
from atlas.search.index import SearchSetting

FILENAME = "quality.json"

UNMEASURED = SearchSetting(leaves=120, candidates=4_000)
"""For an atlas without any measurement: recall 0.999 for a row at 42 million, so a safe start anywhere."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Recall(msgspec.Struct, frozen=True, kw_only=True):
    """Recall of approximate search against exact search, of one kind of query at one setting.

    Attributes
    ----------
    kind : str
        "row", "least similar", "examples" or "cluster".
    k : int
        The share of the k truly nearest that was found.
    leaves, candidates : int
        The setting; the first of several where a kind is searched until it is settled (`atlas.search.settled`).
    mean, worst : float
        Over the queries.
    queries : int
        How many were asked.
    median_ms : float
        Time of one query on one thread, re-scoring included, embeddings in the page cache.
    """

    kind: str
    k: int
    leaves: int
    candidates: int
    mean: Share
    worst: Share
    queries: int
    median_ms: float

    @property
    def setting(self) -> SearchSetting:
        """The setting that was measured."""
        return SearchSetting(self.leaves, self.candidates)


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `quality.json`.

    Attributes
    ----------
    engine : str
        Of the index that was measured.
    recall : tuple of Recall
        The whole table.
    trustworthiness : float
        Of the map (Venna & Kaski 2001), on `trustworthiness_rows` rows, with `trustworthiness_neighbors` neighbours.
    trust_mean : float
        Mean of the column `trust`: share of a galaxy's ten nearest that lie within the part of the map that holds
        `trust_share` of all galaxies around it.
    """

    engine: str
    recall: tuple[Recall, ...]
    trustworthiness: Share
    trustworthiness_rows: int
    trustworthiness_neighbors: int
    trust_mean: Share
    trust_share: Share


def read_quality(space: Path) -> Quality:
    """The measurements of a space.

    Parameters
    ----------
    space : Path
        `<build>/spaces/<name>`.

    Raises
    ------
    FormatError
        If the file is missing or cannot be read.
    """
    path = space / FILENAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Quality)
    except FileNotFoundError:
        raise FormatError(f"{path} is missing") from None
    except msgspec.DecodeError as e:
        raise FormatError(f"{path} cannot be read: {shorten(e, 200)}") from e


def choose_setting(quality: Quality, kind: str, k: int, *, wanted: float = 0.99) -> tuple[SearchSetting, Recall | None]:
    """The cheapest setting that measured the wanted mean recall for this kind of query.

    Parameters
    ----------
    quality : Quality
    kind : str
        Kind of query; one that was not measured gets the most thorough setting of the table.
    k : int
        Rows wanted. Judged at the next larger k that was measured, or at the largest.
    wanted : float
        Mean recall; where no setting reaches it, the best one is taken.

    Returns
    -------
    setting : SearchSetting
    recall : Recall or None
        The measurement behind it; None where this kind was not measured, or not for as many rows.
    """
    lines = [r for r in quality.recall if r.kind == kind]
    if not lines:
        thorough = max(quality.recall, key=lambda r: (r.leaves, r.candidates), default=None)
        return (thorough.setting if thorough else UNMEASURED), None
    measured = sorted({r.k for r in lines})
    at = next((m for m in measured if m >= k), measured[-1])
    lines = [r for r in lines if r.k == at]
    good = [r for r in lines if r.mean >= wanted]
    if good:
        chosen = min(good, key=lambda r: (r.median_ms, r.leaves, r.candidates))
    else:
        chosen = max(lines, key=lambda r: (r.mean, -r.median_ms))
    return chosen.setting, (chosen if at >= k else None)
