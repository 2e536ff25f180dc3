"""What a catalogue leaves open: which positions, which embeddings, whose images: asked or noted, never in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from precompute.errors import SourceError
from precompute.source_description import ColumnDescription
from precompute.sources.column_types import normalize_column
from precompute.sources.source import open_source
from tests.unit.odd_files import DEC, RA, N, beside, opened


def write_parquet(folder: Path, columns: dict[str, Any]) -> None:
    pq.write_table(pa.table({"ra": RA, "dec": DEC, **columns}), folder / "catalog.parquet")


def write_images(folder: Path, names: list[str]) -> None:
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4 + i, 3)).save(folder / name)


def test_positions_as_numbers_go_before_sexagesimal_text(tmp_path: Path) -> None:
    text = "".join(f"10:00:{i:02d}.5,+01:00:{i:02d}.5,{float(RA[i])!r},{float(DEC[i])!r}\n" for i in range(N))
    (tmp_path / "catalog.csv").write_text("ra,dec,ra_deg,dec_deg\n" + text)
    source = opened(tmp_path)
    assert source.column_names == ("survey_ra", "survey_dec")


@pytest.mark.parametrize("unit", ["", "deg"])
def test_right_ascensions_that_may_be_hours_are_asked_about_where_no_unit_is_given(tmp_path: Path, unit: str) -> None:
    ra = pa.field("ra", pa.float64(), metadata={"unit": unit})
    schema = pa.schema([ra, pa.field("dec", pa.float64())])
    pq.write_table(pa.table([np.linspace(0, 23.9, N), DEC], schema=schema), tmp_path / "catalog.parquet")
    notes = open_source(beside(tmp_path)).check().notes
    assert any("within 0…24: if they are hours, say so" in note for note in notes) == (not unit)


@pytest.mark.parametrize(
    ("value", "others", "asked"), [(-99, 1, True), (99, 22, True), (-99, -98, False), (90, 1, False)]
)
def test_numbers_that_may_stand_for_missing_are_asked_about(value: float, others: float, asked: bool) -> None:
    column = normalize_column(np.array([value, others, others]), ColumnDescription())
    assert column.array.tolist() == [value, others, others]
    column = normalize_column(np.array([value, others, others], dtype=np.float32), ColumnDescription())
    assert column.array.tolist() == [value, others, others]
    assert any("if it stands for missing, say so" in note for note in column.notes) == asked


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.array([-(2**31), 5, 7], np.int32), "-2147483648 in 1 rows"),
        (np.array([-99, 5, 7], np.int16), "-99 in 1 rows"),
        (np.array([99.99, 17, 18], np.float32), "99.99 in 1 rows"),
        (np.array([1e30, 5, 7]), "1e+30 in 1 rows"),
    ],
)
def test_each_type_has_its_numbers_for_missing(values: np.ndarray, told: str) -> None:
    (note,) = normalize_column(values, ColumnDescription()).notes
    assert note.startswith(told)
    assert normalize_column(values, ColumnDescription(), identifier=True).notes == ()


def test_of_two_list_columns_it_is_asked_which_holds_the_embeddings(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(N, 16)).tolist()
    write_parquet(tmp_path, {"image_embedding": rows, "text_embedding": rows})
    with pytest.raises(SourceError, match=r"2 columns could be .* image_embedding, text_embedding; .*\(--embeddings\)"):
        open_source(tmp_path)
    assert open_source(tmp_path, embeddings="text_embedding").dimension == 16


@pytest.mark.parametrize("folder", ["images", "images/part1"])
@pytest.mark.parametrize("ids", [[f"G{i}" for i in range(N)], list(range(10**12, 10**12 + N))])
def test_images_are_found_by_id_in_subfolders_too(tmp_path: Path, ids: list[Any], folder: str) -> None:
    write_parquet(tmp_path, {"objid": ids})
    write_images(tmp_path / folder, [f"{ids[2]}.png", f"{ids[1]}.jpg"])
    source = opened(tmp_path)
    widths = [None if image is None else image.shape[1] for image in map(source.image, range(4))]
    assert widths == [None, 5, 4, None]
    assert not any("is of a galaxy" in note for note in source.check().notes)


def test_images_are_found_by_an_id_of_several_columns(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"release": [9010] * N, "brickid": [7] * N, "objid": range(N)})
    write_images(tmp_path / "images", ["9010_7_3.png"])
    assert opened(tmp_path).image(3) is not None


def test_images_of_which_none_matches_are_told_with_names_of_both_sides(tmp_path: Path) -> None:
    write_parquet(tmp_path, {"objid": [f"G{i}" for i in range(N)]})
    write_images(tmp_path / "images", ["a.png", "b.png", "c.png", "d.png"])
    note = next(note for note in opened(tmp_path).check().notes if "is of a galaxy" in note)
    assert "none of the 4 images" in note
    assert "a.png, b.png, c.png" in note and "looked for were G0, G1, G2" in note
