"""An order taught by labels, beside numpy over all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas import Atlas, ByLabels, InputError, Query, Range
from atlas.labels.entry import Entry, new_id
from atlas.labels.store import Labels
from atlas.queries.by_labels import MOST_SURPRISE
from atlas.queries.feedback import embedding_of_examples

GOOD, BAD = (11, 25, 900), (3, 40, 41, 77)


@pytest.fixture
def judged(small: Atlas, tmp_path: Path) -> Atlas:
    """The atlas with some of its galaxies labelled."""
    labels = Labels(tmp_path / "labels.sqlite")
    labels.add([labelled(small, row, "interesting") for row in GOOD])
    labels.add([labelled(small, row, "boring") for row in BAD])
    return Atlas(small.build, small.manifest, labels=labels)


def labelled(atlas: Atlas, row: int, label: str) -> Entry:
    ra_deg, dec_deg = atlas.position(row)
    name = atlas.identity.name(row)
    return Entry(id=new_id(), kind="label", who="Ada", galaxy=name, ra_deg=ra_deg, dec_deg=dec_deg, label=label)


def asked(ranking: ByLabels, **more: object) -> Query:
    return Query(space="v1", ranking=ranking, **more)  # type: ignore[arg-type]


def scores(atlas: Atlas, query: np.ndarray, oddness: float) -> np.ndarray:
    """Scores of all rows, by numpy."""
    rows = np.asarray(atlas.space().embeddings, dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ query
    odder = 1 - np.asarray(atlas.columns("v1").array("anomaly"), dtype=np.float64) / 100
    return np.asarray(cosines / cosines.std() - oddness * np.log10(np.maximum(odder, 10**-MOST_SURPRISE)))


def test_it_is_likeness_to_the_wanted_and_oddness_over_every_row(judged: Atlas) -> None:
    embeddings = judged.space().embeddings
    probe = embedding_of_examples(embeddings[list(GOOD)], embeddings[list(BAD)])
    truth = scores(judged, probe.astype(np.float64), 0.6)
    truth[[*GOOD, *BAD]] = -np.inf
    found = judged.run(asked(ByLabels(("interesting",)), limit=200))
    # The scatter of the scores is that of a sample: it changes an order only among near ties.
    assert np.isin(found.rows, np.argsort(-truth)[:200]).mean() > 0.97
    assert found.method == "exact" and (np.diff(found.scores) <= 0).all()
    plain = judged.run(asked(ByLabels(("interesting",), oddness=0), limit=200))
    truth = scores(judged, probe.astype(np.float64), 0)
    truth[[*GOOD, *BAD]] = -np.inf
    assert plain.rows.tolist() == np.argsort(-truth, kind="stable")[:200].tolist()


def test_what_is_looked_at_already_is_left_out_and_a_selection_holds(judged: Atlas) -> None:
    ranking = ByLabels(("interesting",))
    found = judged.run(asked(ranking, limit=1_000))
    assert not set(found.rows.tolist()) & {*GOOD, *BAD}
    assert set(judged.run(asked(ranking, limit=1_000, with_examples=True)).rows.tolist()) & set(GOOD)
    bright = np.asarray(judged.columns().array("mag_r")) < 18
    some = judged.run(asked(ranking, limit=50, selection=Range("mag_r", None, 17.9)))
    assert some.rows.size and bright[some.rows].all()


def test_the_other_modes_lie_between_the_sides_and_away_from_all(judged: Atlas) -> None:
    embeddings = np.asarray(judged.space().embeddings, dtype=np.float64)
    rows = {
        mode: judged.run(asked(ByLabels(("interesting",), mode, oddness=0), limit=100)).rows
        for mode in ("like", "uncertain", "unlike")
    }
    middle = embeddings[[*GOOD, *BAD]].mean(axis=0)
    away = embeddings @ middle
    assert np.array_equal(np.sort(rows["unlike"]), np.sort(np.setdiff1d(np.argsort(away), [*GOOD, *BAD], True)[:100]))
    probe = embedding_of_examples(embeddings[list(GOOD)], embeddings[list(BAD)]).astype(np.float64)
    likeness = embeddings @ probe
    border = (likeness[list(GOOD)].mean() + likeness[list(BAD)].mean()) / 2
    assert np.abs(likeness[rows["uncertain"]] - border).max() < np.abs(likeness - border).mean() / 10


def test_an_earlier_revision_answers_as_it_did(judged: Atlas, small: Atlas) -> None:
    revision = judged.labels.revision()
    first = judged.run(asked(ByLabels(("interesting",), revision=revision)))
    judged.labels.add([labelled(small, int(row), "boring") for row in first.rows[:10]])
    again = judged.run(asked(ByLabels(("interesting",), revision=revision)))
    assert again.rows.tolist() == first.rows.tolist() and again.receipt == first.receipt
    assert judged.run(asked(ByLabels(("interesting",)))).rows.tolist() != first.rows.tolist()


def test_labels_that_are_not_there_teach_nothing_and_say_so(judged: Atlas) -> None:
    with pytest.raises(InputError, match="labelled lens"):
        judged.run(asked(ByLabels(("lens",))))
    with pytest.raises(InputError, match="end at"):
        judged.run(asked(ByLabels(("interesting",), revision=10_000)))
    with pytest.raises(InputError, match="every labelled galaxy is wanted"):
        judged.run(asked(ByLabels(("boring", "interesting"), "uncertain")))
