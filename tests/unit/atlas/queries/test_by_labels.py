"""An order taught by labels, beside numpy over all rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from atlas import Atlas, ByLabels, InputError, Query, Range
from atlas.labels.entry import Entry, new_id
from atlas.labels.store import Labels
from atlas.queries import by_labels
from atlas.queries.by_labels import MOST_SURPRISE, REFINED, in_order_of_labels
from atlas.queries.feedback import embedding_of_examples
from atlas.receipts import make_receipt, read_receipt, replay

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


def orders(atlas: Atlas, oddness: float) -> tuple[np.ndarray, np.ndarray]:
    """First and second score of all rows, by numpy; −∞ for the labelled."""
    rows = np.asarray(atlas.space().embeddings, dtype=np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = rows @ embedding_of_examples(rows[list(GOOD)], rows[list(BAD)]).astype(np.float64)
    odd = np.stack(
        [np.asarray(atlas.columns("v1").array(name), dtype=np.float64) for name in ("anomaly", "anomaly_form")]
    )
    surprise = -np.log10(np.maximum(1 - odd / 100, 10**-MOST_SURPRISE)).mean(axis=0)
    beyond = cosines / cosines.std() - 1
    first = np.where(beyond > 0, beyond, 0.05 * beyond) + oddness * surprise
    labelled = rows[[*GOOD, *BAD]]
    width = 0.7 * cosines.std()
    weights = np.linalg.inv(np.exp((labelled @ labelled.T - 1) / width) + np.eye(len(labelled)))[:, : len(GOOD)].sum(
        axis=1
    )
    second = np.exp((rows @ labelled.T - 1) / width) @ weights + oddness / 8 * surprise
    first[[*GOOD, *BAD]] = -np.inf
    return first, second


def test_every_row_is_scored_and_the_first_are_ordered_again(judged: Atlas) -> None:
    for oddness in (0.8, 0.0):
        first, second = orders(judged, oddness)
        found = judged.run(asked(ByLabels(("interesting",), oddness=oddness), limit=REFINED + 200))
        assert found.method == "exact" and (np.diff(found.scores) <= 0).all()
        # The scatter of the scores is that of a sample: it changes an order only among near ties.
        best = np.argsort(-first)
        assert np.isin(found.rows, best[: REFINED + 200]).mean() > 0.97
        assert np.isin(found.rows[:REFINED], best[:REFINED]).mean() > 0.97
        expected = best[:REFINED][np.argsort(-second[best[:REFINED]])]
        assert np.isin(found.rows[:100], expected[:100]).mean() > 0.95
        fewer = judged.run(asked(ByLabels(("interesting",), oddness=oddness), limit=24))
        assert fewer.rows.tolist() == found.rows[:24].tolist(), "a page more changes nothing"


def test_some_rows_are_in_the_order_that_they_have_among_all(judged: Atlas) -> None:
    ranking = ByLabels(("interesting",))
    bright = Range("mag_r", None, 17.9)
    found = judged.run(asked(ranking, limit=10_000, selection=bright)).rows
    assert in_order_of_labels(judged, ranking, judged.mask(bright).rows).tolist() == found.tolist()


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


def test_a_receipt_says_which_version_of_the_order_it_is_of(judged: Atlas, monkeypatch: pytest.MonkeyPatch) -> None:
    query = asked(ByLabels(("interesting",), revision=judged.labels.revision()))
    result = judged.run(query)
    receipt = read_receipt(make_receipt(judged, query, result))
    assert receipt.settings["label_order"] == by_labels.VERSION
    assert replay(judged, receipt).notes == ()
    monkeypatch.setattr(by_labels, "VERSION", by_labels.VERSION + 1)
    again = replay(judged, receipt)
    assert again.result.receipt != result.receipt, "another order is another answer"
    assert f"'label_order': {by_labels.VERSION - 1}" in again.notes[0]


def test_labels_that_are_not_there_teach_nothing_and_say_so(judged: Atlas) -> None:
    with pytest.raises(InputError, match="labelled lens"):
        judged.run(asked(ByLabels(("lens",))))
    with pytest.raises(InputError, match="end at"):
        judged.run(asked(ByLabels(("interesting",), revision=10_000)))
    with pytest.raises(InputError, match="every labelled galaxy is wanted"):
        judged.run(asked(ByLabels(("boring", "interesting"), "uncertain")))
