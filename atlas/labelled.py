"""Rows of a build that people labelled or collected: by id, else by position.

Labels outlive builds, rows do not. What is gone from a build is listed and keeps its labels; it may come back.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from atlas.catalog.columns import Columns
from atlas.catalog.identity import Identity
from atlas.catalog.reserved_names import COLLECTION
from atlas.labels.entry import Member
from atlas.sky.sky_plane import SkyPlane
from atlas.sky.sky_regions import separation_deg
from atlas.storage import layout

if TYPE_CHECKING:
    from atlas.labels.entry import Label
    from atlas.labels.store import Labels

SAME_PLACE_ARCSEC = 1.0


class Standing:
    """The labels that stand at a revision. Immutable.

    Parameters
    ----------
    revision : int
    of : dict of str to tuple of Label
        Labels of each galaxy that has some, one a person.
    """

    def __init__(self, revision: int, of: dict[str, tuple[Label, ...]]) -> None:
        self.revision = revision
        self.of = of

    def galaxies(self, labels: Sequence[str] = (), *, disputed: bool = False) -> list[str]:
        """Galaxies that somebody gave one of some labels, any where none is named."""
        wanted = set(labels)
        return [
            galaxy
            for galaxy, given in self.of.items()
            if (not wanted or any(one.label in wanted for one in given)) and (not disputed or is_disputed(given))
        ]

    def counts(self) -> Counter[str]:
        """Galaxies of each label; one that people disagree about counts for each of its labels."""
        return Counter(label for given in self.of.values() for label in {one.label for one in given})


def is_disputed(given: Sequence[Label]) -> bool:
    """Whether people gave a galaxy different labels."""
    return len({one.label for one in given}) > 1


class LabelledRows:
    """The labels of the galaxies of a build. Safe to share between threads.

    Parameters
    ----------
    labels : Labels
    identity : Identity
    sky : SkyPlane
    columns : Columns
        Where positions are read.
    """

    def __init__(self, labels: Labels, identity: Identity, sky: SkyPlane, columns: Columns) -> None:
        self._labels = labels
        self._identity = identity
        self._sky = sky
        self._columns = columns
        self._lock = threading.Lock()
        self._now = Standing(0, {})
        self._rows: dict[str, int] = {}
        self._galaxies: dict[int, str] = {}

    def now(self) -> Standing:
        """The labels that stand now; what others changed meanwhile is read, and no more than that.

        Raises
        ------
        KeepingError
            If the database does not answer.
        """
        with self._lock:
            before = self._now
            revision = self._labels.revision()
            if revision == before.revision:
                return before
            touched = self._labels.touched_since(before.revision) if before.revision else None
            of = {} if touched is None else {name: given for name, given in before.of.items() if name not in touched}
            fresh = self._labels.labels(at=revision, galaxies=touched)
            self._now = Standing(revision, of | _by_galaxy(fresh))
            self._find([(one.galaxy, one.ra_deg, one.dec_deg) for one in fresh])
            return self._now

    def at(self, revision: int) -> Standing:
        """The labels that stood at a revision; 0 stands for now."""
        now = self.now()
        if revision in (0, now.revision):
            return now
        found = self._labels.labels(at=revision)
        with self._lock:
            self._find([(one.galaxy, one.ra_deg, one.dec_deg) for one in found])
        return Standing(revision, _by_galaxy(found))

    def rows(self, labels: Sequence[str] = (), *, disputed: bool = False, revision: int = 0) -> NDArray[np.int64]:
        """Rows of the galaxies that somebody gave one of some labels (any where none is named), in the order in which
        they were first labelled."""
        rows = self.rows_of(self.at(revision).galaxies(labels, disputed=disputed))
        return rows[rows >= 0]

    def rows_of(self, galaxies: Sequence[str]) -> NDArray[np.int64]:
        """Rows of labelled galaxies, −1 for those that are gone."""
        return np.fromiter((self._rows.get(name, -1) for name in galaxies), dtype=np.int64, count=len(galaxies))

    def gone(self) -> list[str]:
        """Labelled galaxies that this build does not have."""
        return [galaxy for galaxy in self.now().of if self._rows.get(galaxy, -1) < 0]

    def of_rows(self, rows: Sequence[int]) -> dict[int, tuple[Label, ...]]:
        """Labels of those of some rows that have any."""
        now = self.now()
        named = {row: self._galaxies[row] for row in rows if row in self._galaxies}
        return {row: now.of[galaxy] for row, galaxy in named.items() if galaxy in now.of}

    def words(self, name: str) -> list[str]:
        """Labels, grades or collections that there are now (`atlas.expressions.given`), in alphabetical order."""
        if name == COLLECTION:
            return [one.name for one in self._labels.collections()]
        return sorted({getattr(one, name) for given in self.now().of.values() for one in given} - {""})

    def given(self, name: str, wanted: Callable[[str], bool], revision: int = 0) -> NDArray[np.int64]:
        """Rows of the galaxies that were given such a label or grade, or are in such a collection."""
        if name == COLLECTION:
            kept = [one for one in self._labels.collections(revision or None) if wanted(one.name)]
            rows = np.concatenate([np.empty(0, np.int64), *(self.members(one.name, one.revision) for one in kept)])
        else:
            words = {
                galaxy: {getattr(one, name) for one in given} - {""} for galaxy, given in self.at(revision).of.items()
            }
            rows = self.rows_of([galaxy for galaxy, some in words.items() if any(map(wanted, some))])
        return rows[rows >= 0]

    def members(self, name: str, revision: int = 0) -> NDArray[np.int64]:
        """Rows of a collection's members, in order, −1 for those that are gone; revision 0 stands for its newest.

        Raises
        ------
        InputError
            If there is no such collection.
        """
        return self.rows_of_members(self._labels.collection(name, revision).members)

    def rows_of_members(self, members: Sequence[Member]) -> NDArray[np.int64]:
        """Rows of galaxies that were kept by identity and position, in order, −1 for those that are gone."""
        return self._looked_up([(one.galaxy, one.ra_deg, one.dec_deg) for one in members])

    def as_members(self, rows: NDArray[Any]) -> tuple[Member, ...]:
        """Rows by identity and position, as other builds find them."""
        ra, dec = (self._columns.array(name)[rows].tolist() for name in (layout.RA, layout.DEC))
        return tuple(Member(*one) for one in zip(self._identity.names(rows), ra, dec, strict=True))

    def _find(self, galaxies: list[tuple[str, float, float]]) -> None:
        """Remember the rows of galaxies that were not looked up before."""
        new = list({one[0]: one for one in galaxies if one[0] not in self._rows}.values())
        for (name, _, _), row in zip(new, self._looked_up(new).tolist(), strict=True):
            self._rows[name] = row
            if row >= 0:
                self._galaxies[row] = name

    def _looked_up(self, galaxies: list[tuple[str, float, float]]) -> NDArray[np.int64]:
        rows = self._identity.rows([name for name, _, _ in galaxies])
        ra, dec = (np.array([one[at] for one in galaxies], dtype=np.float64) for at in (1, 2))
        if layout.SOURCE_ROW in self._identity.id_columns:
            # A number in the source's order names whoever stands there today: only a galaxy at its place is the same.
            known = np.flatnonzero(rows >= 0)
            here_ra, here_dec = (self._columns.array(name)[rows[known]] for name in (layout.RA, layout.DEC))
            away = separation_deg(here_ra, here_dec, ra[known], dec[known]) * 3600
            rows[known[away > SAME_PLACE_ARCSEC]] = -1
        for at in np.flatnonzero(rows < 0).tolist():
            found = self._sky.nearest(float(ra[at]), float(dec[at]), SAME_PLACE_ARCSEC / 3600)
            rows[at] = -1 if found is None else found[0]
        return rows


def _by_galaxy(labels: list[Label]) -> dict[str, tuple[Label, ...]]:
    found: dict[str, tuple[Label, ...]] = {}
    for one in labels:
        before = found.get(one.galaxy)
        found[one.galaxy] = (one,) if before is None else (*before, one)
    return found
