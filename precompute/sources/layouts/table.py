"""The layout of one's own survey: a catalogue file, embeddings in its order, and images in a folder.

catalog.fits        or .parquet, .csv, .ecsv, .vot; or files of it, numbered
embeddings.npy      or columns of the catalogue, or a table with ids of its own
images/             one file a row, named by a column or by the row; optional
source.json         what it all means; optional
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import SourceError
from ...source_description import SourceDescription
from ..catalog_files import catalog_ending, open_catalogs
from ..column_guesses import find_catalog, guess_positions
from ..embeddings import Embeddings
from ..find_embeddings import open_embeddings, rows_beside
from ..tables.file_column import FileColumn
from .base import Parts, folder_images


class TableLayout:
    """Takes whatever no other layout takes, and says what is missing."""

    def matches(self, path: Path) -> bool:
        """See `Layout.matches`."""
        return True

    def open(self, path: Path, told: SourceDescription, embeddings: str, images: Path | None) -> Parts:
        """See `Layout.open`."""
        paths = find_catalog(path)
        # What else there is lies beside the files, or beside the folder that is named as one.
        of_parts = path if catalog_ending(path) else next((p for p in paths[0].parents if catalog_ending(p)), paths[0])
        path = paths[0] if len(paths) == 1 else of_parts
        n_embeddings = rows_beside(path, embeddings)

        def suits(columns: Sequence[FileColumn], n_rows: int) -> int:
            names = {column.name for column in columns}
            has_positions = {told.ra, told.dec} <= names or guess_positions(columns) is not None
            return 2 * has_positions + (n_rows == n_embeddings)

        catalog = open_catalogs(paths, told.table, suits)
        problems: list[str] = []
        opened: Embeddings | None = None
        taken: tuple[str, ...] = ()
        try:
            opened, taken = open_embeddings(path, catalog, embeddings or told.embedding_column, paths)
        except SourceError as e:
            problems.append(str(e))
        pictures, image_column = folder_images(path.parent, images, catalog, told)
        return Parts(
            path=path,
            catalog=catalog,
            embeddings=opened,
            images=pictures,
            description=told,
            embedding_columns=taken,
            image_column=image_column,
            files=paths if pictures is None else (*paths, pictures.folder),
            problems=problems,
            notes=[*catalog.notes, *_told(taken)],
        )


def _told(taken: tuple[str, ...]) -> list[str]:
    """A note where many columns were taken for one."""
    return [f"the embeddings are {len(taken)} columns, {taken[0]} … {taken[-1]}"] if len(taken) > 1 else []


LAYOUT = TableLayout()
