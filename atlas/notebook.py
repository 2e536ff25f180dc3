"""Tables of galaxies as a notebook shows them: a pandas DataFrame that knows its units, its images and its matches."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from astropy.table import Table
from numpy.typing import NDArray

from atlas.build import OpenBuild
from atlas.catalog.columns import free_name
from atlas.catalog.mixtures import mixture_meaning
from atlas.errors import InputError, shorten
from atlas.examples import Match, match_examples
from atlas.exports.contents import Contents, Field, field_of, id_field, provenance, texts
from atlas.exports.formats import format_of
from atlas.labels.entry import MOST_CHARACTERS
from atlas.page_link import page_link
from atlas.queries.answer import answer
from atlas.queries.feedback import embedding_of_examples
from atlas.queries.outside_embeddings import outside_embeddings
from atlas.queries.query import MAX_LIMIT, Query
from atlas.queries.ranking import ByDetectors, Given, Similar
from atlas.queries.selection import All, Selection, as_selection
from atlas.queries.spacing import Spacing
from atlas.storage import layout
from atlas.storage.manifest import Column
from atlas.storage.thumbnails import MIME_TYPE

SIMILARITY, ODDNESS = "similarity", "oddness"
ABOUT_SIMILARITY = (
    "Cosine similarity to the galaxy asked for, or to the mean of several turned from the unwanted: 1 is the same, 0 "
    "unrelated"
)
IMAGES = 24
IMAGE_PIXELS = 72


class GalaxyTable(pd.DataFrame):
    """Galaxies of an atlas, indexed by row.

    Attributes
    ----------
    matched : tuple of Match
        Galaxies that were asked for, and how far each lies from the position that was given.
    matched_unwanted : tuple of Match
        Likewise those that the others were not to be like.
    receipt : str
        Hash that names the question; empty where there was none.
    """

    _metadata = ["_atlas", "_described", "_query", "matched", "matched_unwanted", "receipt"]  # noqa: RUF012, pandas copies these to what is made from the table
    _atlas: OpenBuild | None = None
    _described: dict[str, Column] = {}  # noqa: RUF012, replaced, never changed
    _query: Query | None = None
    matched: tuple[Match, ...] = ()
    matched_unwanted: tuple[Match, ...] = ()
    receipt: str = ""

    @classmethod
    def of(cls, atlas: OpenBuild, data: pd.DataFrame, columns: dict[str, Column]) -> GalaxyTable:
        """A table that remembers where it was taken from."""
        table = cls(data)
        table._atlas, table._described = atlas, columns
        return table

    @property
    def _constructor(self) -> type[GalaxyTable]:
        return GalaxyTable

    @property
    def _similarity(self) -> str:
        """Name of the column of similarities: the catalogue may have one of that name."""
        return free_name(SIMILARITY, self._described)

    @property
    def _score(self) -> str:
        """Name of the column of what ordered the table: similarity, or the oddness that detectors told."""
        return free_name(ODDNESS, self._described) if self._mixed else self._similarity

    @property
    def _mixed(self) -> ByDetectors | None:
        ranking = None if self._query is None else self._query.ranking
        return ranking if isinstance(ranking, ByDetectors) else None

    def _about(self, name: str) -> str:
        """Meaning of what ordered the table; empty of any other column."""
        if name != self._score:
            return ""
        return mixture_meaning(self._mixed.detectors, self._mixed.mixed_by) if self._mixed else ABOUT_SIMILARITY

    def __getstate__(self) -> dict[str, Any]:
        # An open atlas stays where it is: a pickled table keeps values, units and matches, and shows no images.
        state: dict[str, Any] = super().__getstate__()  # type: ignore[assignment]
        return {**state, "_atlas": None}

    def to_astropy(self) -> Any:
        """As an `astropy.table.Table`: units and descriptions on the columns, missing values masked.

        Returns
        -------
        astropy.table.Table
            The row of each galaxy is the first column; `meta` says what the table was taken from.
        """
        index = self.index.name is not None and self.index.name not in self.columns
        table = Table.from_pandas(pd.DataFrame(self), index=index)
        for name in table.colnames:
            column = self._described.get(name)
            if column is not None:
                table[name].description = column.description or None
                if column.kind == "number" and column.unit:
                    table[name].unit = column.unit
        if self._score in table.colnames:
            table[self._score].description = self._about(self._score)
        if self._atlas is not None:
            manifest = self._atlas.manifest
            table.meta["atlas"], table.meta["build"] = manifest.title, manifest.build_id
            if manifest.provenance.acknowledgement:
                table.meta["acknowledgement"] = manifest.provenance.acknowledgement
        if self.matched:
            table.meta["matched"] = [str(one) for one in self.matched]
        if self.matched_unwanted:
            table.meta["matched_unwanted"] = [str(one) for one in self.matched_unwanted]
        return table

    def save(self, path: str | Path) -> None:
        """Write a file for other tools; the ending says which: .csv .ecsv .parquet .fits .vot .reg .moc.fits.

        The file begins with each galaxy's id, has units and UCDs, and says which atlas and build it came from.

        Raises
        ------
        InputError
            If the ending is none of these, or the table's rows are no longer those of an atlas.
        """
        kind = format_of(Path(path))
        if self._atlas is None or self.index.name != "row":
            raise InputError("only a table whose index is the row in an open atlas can be saved; to_astropy() may help")
        written = kind.write(self._contents(self._atlas))
        with Path(path).open("wb") as file:
            file.writelines(written)

    def link(self, base_url: str) -> str:
        """Address at which a dashboard that serves this atlas asks the same question.

        Parameters
        ----------
        base_url : str
            Where it is served, such as "http://127.0.0.1:8050".

        Raises
        ------
        InputError
            If the table is no answer of an open atlas, or the page cannot ask the same.
        """
        if self._atlas is None or self._query is None:
            raise InputError("only what similar(…) or anomalies(…) of an open atlas returned has a link")
        return page_link(self._atlas, self._query, base_url)

    def _contents(self, atlas: OpenBuild) -> Contents:
        fields, part = [], {}
        for name in map(str, self.columns):
            values = self[name]
            text = not pd.api.types.is_numeric_dtype(values.dtype)
            column = self._described.get(name)
            if column is not None:
                fields.append(field_of(column))
                part[name] = texts(values.tolist()) if fields[-1].is_text else values.to_numpy(fields[-1].dtype)
                continue
            part[name] = texts(values.tolist()) if text else values.to_numpy()
            told = self._about(name)
            width = max(1, *map(len, part[name])) if text and len(self) else 1
            fields.append(Field(name=name, dtype="text" if text else values.dtype.name, width=width, description=told))
        columns = atlas.columns(atlas.default_space)
        own = id_field([columns.describe(name) for name in atlas.manifest.id_columns], list(part))
        rows = self.index.to_numpy()
        part[own.name] = texts(atlas.identity.names(rows))
        for name in (layout.RA, layout.DEC):
            part.setdefault(name, np.asarray(columns.array(name)[rows]))
        more = {"receipt": self.receipt} if self.receipt else {}
        return Contents(
            fields=(own, *fields),
            n_rows=len(self),
            id=own.name,
            about=provenance(atlas.manifest, **more),
            parts=lambda: iter([part]),
        )

    def _repr_html_(self) -> str | None:
        """Images of the first galaxies with their similarity, then the table."""
        table = super()._repr_html_()  # type: ignore[misc]
        if table is None:
            return None
        asked = "".join(
            f"<p>{self._image(one.row)} {'asked for' if len(self.matched) == 1 else 'one of those asked for'}: "
            f"{escape(str(one))}</p>"
            for one in self.matched[:3]
        )
        if len(self.matched) > 3:
            asked += f"<p>and {len(self.matched) - 3:,} more</p>"
        return f"<div>{asked}<div>{self._images()}</div>{table}</div>"

    def _images(self) -> str:
        if self.index.name != "row":
            return ""
        scores = self[self._score].tolist() if self._score in self.columns else [None] * len(self)
        shown = []
        for row, score in zip(self.index[:IMAGES].tolist(), scores, strict=False):
            image = self._image(row)
            if image:
                words = f"row {row}" + ("" if score is None else f"<br>{score:.3f}")
                shown.append(
                    f'<div style="display:inline-block;margin:2px;text-align:center;font-size:11px">'
                    f"{image}<br>{words}</div>"
                )
        return "".join(shown)

    def _image(self, row: int) -> str:
        """An image as part of the page; empty where the galaxy has none."""
        thumbnails = None if self._atlas is None else self._atlas.thumbnails
        data = None if thumbnails is None else thumbnails.read(row)
        if data is None:
            return ""
        source = f"data:{MIME_TYPE};base64,{base64.b64encode(data).decode()}"
        return f'<img src="{source}" alt="galaxy in row {shorten(row)}" width="{IMAGE_PIXELS}" height="{IMAGE_PIXELS}">'


def similar(
    atlas: OpenBuild,
    galaxies: Any = None,
    *,
    ra_deg: Any = None,
    dec_deg: Any = None,
    id: Any = None,
    rows: Any = None,
    embedding: Any = None,
    unwanted: Any = None,
    within: Selection | str | None = None,
    k: int = 100,
    exact: bool = False,
    apart_arcsec: float = 0.0,
    variety: float = 0.0,
    space: str | None = None,
    radius_arcsec: float = 5.0,
) -> GalaxyTable:
    """Galaxies most similar to one, or to several together, most similar first.

    Parameters
    ----------
    galaxies : str, SkyCoord, Table, DataFrame or list of str
        A position or an id as text, coordinates, or a table with the ids of this atlas or with positions.
    ra_deg, dec_deg : float, Quantity or array of them
        Instead: positions (ICRS), in degrees where they have no unit.
    id : str, int or list of them
        Instead: ids.
    rows : int, list of int or Mask
        Instead: rows of this build.
    embedding : array of shape (d,) or (m, d), str or Path, optional
        Instead: embeddings from elsewhere, of one galaxy or several together; text names a .npy file.
    unwanted : optional
        Galaxies that the found should not be like, wrong results of a search for instance: in the form of `id` or
        `rows` where one of these is given, else in any that `galaxies` takes.
    within : Selection or str, optional
        Which galaxies may appear; text is a condition, such as "snr > 100".
    k : int
        Galaxies wanted, 1 to 10,000.
    exact : bool
        Whether to compare with every galaxy, whatever it costs.
    apart_arcsec : float
        How far the found must lie from each other on the sky: of near twins the first stays.
    variety : float
        0 to 0.95: how much being unlike those before counts against being like the examples.
    space : str, optional
        Embedding space; the first by default. Conditions and columns are of that space, too.
    radius_arcsec : float
        How near a galaxy must lie to a position.

    Returns
    -------
    GalaxyTable
        A DataFrame; `matched` and `matched_unwanted` say which galaxies were found for what was asked.

    Raises
    ------
    InputError
        If an argument is of no known form, or names what the atlas does not have.
    """
    atlas = atlas.seen_in(space or atlas.default_space)
    require_limit(k)
    matched: tuple[Match, ...] = ()
    if embedding is None:
        matched = match_examples(atlas, galaxies, ra_deg, dec_deg, id, rows, radius_arcsec=radius_arcsec)
    elif any(one is not None for one in (galaxies, ra_deg, dec_deg, id, rows)):
        raise InputError("name galaxies, or give embeddings, not both")
    unlike: tuple[Match, ...] = ()
    if unwanted is not None:
        form = "id" if id is not None else "rows" if rows is not None else "galaxies"
        unlike = match_examples(atlas, radius_arcsec=radius_arcsec, **{form: unwanted})
    query = Query(
        space=atlas.default_space,
        ranking=_ranking(atlas, matched, unlike, embedding),
        selection=All() if within is None else as_selection(within),
        limit=int(k),
        exact=exact,
        spacing=_spacing(apart_arcsec, variety),
    )
    result = answer(atlas, query)
    found = galaxy_table(atlas, result.rows)
    found.insert(0, found._similarity, result.scores)
    found._query = query
    found.matched, found.matched_unwanted, found.receipt = matched, unlike, result.receipt
    return found


def require_limit(k: Any) -> None:
    """Refuse a number of galaxies that cannot be asked for."""
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= MAX_LIMIT:
        raise InputError(f"k must be a whole number from 1 to {MAX_LIMIT:,}, not {shorten(k)}")


def galaxy_table(atlas: OpenBuild, rows: NDArray[Any] | list[int], space: str | None = None) -> GalaxyTable:
    """All columns of some rows, indexed by row."""
    columns = atlas.columns(space or atlas.default_space)
    data = {c.name: columns.values(c.name, rows) for c in columns}
    frame = pd.DataFrame(data, index=pd.Index(np.asarray(rows), name="row"))
    return GalaxyTable.of(atlas, frame, {c.name: c for c in columns})


def clusters(atlas: OpenBuild) -> pd.DataFrame:
    """The clusters of every scale, by label: size, the name that people gave and who did, words and figures of each.

    Returns
    -------
    DataFrame
        Columns scale, name, named_by, size, words, stability, odd, spoilt, distinctness, spread (as of `ClusterInfo`
        and `Portrait`) and medoid, a row of the build.

    Raises
    ------
    KeepingError
        If the database of the names does not answer.
    """
    space, named = atlas.space(), atlas.cluster_names.now().of
    found = [one for scale in space.cluster_tree.scales for one in space.cluster_tree.of(scale)]
    portraits = [space.cluster_portraits[one.label] for one in found]
    data = {
        "scale": [one.scale for one in found],
        "name": [named[one.label].name if one.label in named else "" for one in found],
        "named_by": [named[one.label].who if one.label in named else "" for one in found],
        "size": [one.size for one in found],
        "words": [", ".join(word.text for word in space.cluster_words.get(one.label, ())) for one in found],
        "stability": [one.stability for one in found],
        **{name: [getattr(one, name) for one in portraits] for name in ("odd", "spoilt", "distinctness", "spread")},
        "medoid": [one.medoid for one in found],
    }
    return pd.DataFrame(data, index=pd.Index([one.label for one in found], name="cluster"))


def name_cluster(atlas: OpenBuild, label: int, name: str, *, who: str) -> None:
    """Give a cluster a name that pages and notebooks show, in this build and in later ones as far as members agree.

    Parameters
    ----------
    label : int
        As in the columns of the clusters.
    name : str
        At most 40 characters; empty to take the name away.
    who : str
        Your own name.

    Raises
    ------
    InputError
        If there is no such cluster, or the name is too long or holds control characters.
    KeepingError
        If it could not be kept.
    """
    if len(name) > MOST_CHARACTERS:
        raise InputError(f"a name has at most {MOST_CHARACTERS} characters, not {len(name):,}")
    atlas.labels.add([atlas.cluster_names.entry(label, name, who=who)])


def _ranking(
    atlas: OpenBuild, matched: tuple[Match, ...], unlike: tuple[Match, ...], embedding: Any
) -> Similar | Given:
    wanted, unwanted = (tuple(one.row for one in of) for of in (matched, unlike))
    if embedding is None:
        return Similar(wanted, unwanted)
    searched = atlas.space()
    good = outside_embeddings(embedding, searched.dimension)
    return Given(tuple(embedding_of_examples(good, searched.embeddings[list(unwanted)]).tolist()))


def _spacing(apart_arcsec: float, variety: float) -> Spacing:
    try:
        return msgspec.convert({"apart_arcsec": apart_arcsec, "variety": variety}, Spacing)
    except msgspec.ValidationError as e:
        given = f"{shorten(apart_arcsec)} and {shorten(variety)}"
        raise InputError(f"apart_arcsec lies between 0 and 3,600, variety between 0 and 0.95, not {given}") from e
