"""The Legacy Surveys as they lie on a disk: embeddings that end early, one chunk of many, linked folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from precompute.embedding.chunk_set import find_chunk_set
from precompute.sources.source import Source, open_source
from tests.unit.layouts import (
    N,
    numbered,
    survey_columns,
    survey_embeddings,
    survey_images,
    write_chunks,
    write_representations,
)

from .written_layouts import all_embeddings, problems_of

EDGES = (0, 40, 80, N)


def check_rows(source: Source, first: int, stop: int) -> None:
    """That a source is the rows of the survey from the first to that before the last: values, embeddings, images."""
    assert source.n_rows == stop - first
    ids = np.asarray(source.read_column("objid"))
    assert ids.tolist() == np.asarray(survey_columns()["objid"])[first:stop].tolist()
    assert np.array_equal(all_embeddings(source, 7), survey_embeddings()[first:stop])
    source.check()


def written(folder: Path, images: tuple[int, ...], representations: tuple[int, ...] = ()) -> Path:
    """Chunks of the survey from one edge to the next."""
    write_chunks(folder, survey_columns(), images, survey_images())
    write_representations(folder, survey_embeddings(), representations)
    return folder


@pytest.mark.parametrize("last", [41, 60, 80, 97])
def test_embeddings_of_the_brightest_make_a_survey_of_the_brightest(tmp_path: Path, last: int) -> None:
    source = open_source(written(tmp_path, EDGES, (0, 30, last)))
    check_rows(source, 0, last)
    assert f"those of both are taken, 0 to {last - 1}" in " ".join(source.notes)


def test_one_array_that_ends_early_is_of_the_first_rows(tmp_path: Path) -> None:
    written(tmp_path, EDGES)
    np.save(tmp_path / "representations.npy", survey_embeddings()[:55])
    check_rows(open_source(tmp_path), 0, 55)


@pytest.mark.parametrize("representations", [(40, 80), (0, N), (0, 60, 90), (30, 80)], ids=str)
def test_one_chunk_of_many_is_taken_with_its_embeddings(tmp_path: Path, representations: tuple[int, ...]) -> None:
    source = open_source(written(tmp_path, (40, 80), representations))
    check_rows(source, 40, 80)
    shown, others = source.image(0), open_source(written(tmp_path / "all", EDGES, (0, N))).image(40)
    assert shown is not None and others is not None and np.array_equal(shown, others)


def test_one_chunk_of_many_is_taken_with_one_array_of_as_many_rows(tmp_path: Path) -> None:
    written(tmp_path, (40, 80))
    np.save(tmp_path / "embeddings.npy", survey_embeddings()[40:80])
    source = open_source(tmp_path)
    check_rows(source, 40, 80)
    assert not any("those of both" in note for note in source.notes)


def test_rows_that_have_nothing_in_common_are_refused(tmp_path: Path) -> None:
    written(tmp_path, (0, 40), (40, 80))
    assert "the files are of rows 0 to 39, the embeddings of 40 to 79: no row has both" in problems_of(tmp_path)


def test_a_gap_is_a_fault_wherever_the_survey_begins(tmp_path: Path) -> None:
    written(tmp_path, (20, 40), (20, N))
    written(tmp_path, (50, N))
    assert "rows 40 to 49 are in no file" in problems_of(tmp_path)


def test_linked_folders_are_looked_into_and_a_circle_of_links_ends(tmp_path: Path) -> None:
    survey, elsewhere = tmp_path / "survey", tmp_path / "disk"
    written(elsewhere / "images", EDGES)
    written(elsewhere / "representations", (), (0, 60, N))
    survey.mkdir()
    for name in ("images", "representations"):
        (survey / name).symlink_to(elsewhere / name)
    check_rows(open_source(survey), 0, N)
    (elsewhere / "representations" / "again").symlink_to(elsewhere / "representations")
    assert "sets of embeddings" in problems_of(survey, embeddings="")


def test_normalised_copies_beside_the_embeddings_are_not_taken(tmp_path: Path) -> None:
    written(tmp_path, EDGES, (0, 60, N))
    for first, stop in ((0, 60), (60, N)):
        stem = numbered("representations", first, stop, "")
        np.save(tmp_path / f"{stem}_normalized.npy", survey_embeddings()[first:stop] * 2)
    check_rows(open_source(tmp_path), 0, N)


def test_one_chunk_of_many_can_be_embedded(tmp_path: Path) -> None:
    written(tmp_path, (40, 80))
    chunks = find_chunk_set(tmp_path)
    assert chunks is not None and len(chunks) == 40
    assert chunks.read(39, as_seen=False) is not None
