"""What the page knows of the labels, while their database answers and while it does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas.errors import KeepingError
from atlas.labels.entry import Entry, new_id
from atlas.labels.store import Labels
from dashboard.service import label_book
from dashboard.service.label_book import Known, LabelBook


@pytest.fixture
def labels(tmp_path: Path) -> Iterator[Labels]:
    """Labels of one class."""
    labels = Labels(tmp_path / "labels.sqlite")
    labels.add([Entry(id=new_id(), kind="class", who="Ada", key=1, label="lens")])
    yield labels
    labels.close()


def test_a_database_that_is_away_is_not_waited_for_again_and_again(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = LabelBook(labels)
    assert book.known() == Known(1, {1: "lens"})
    asked = []

    def away() -> int:
        asked.append(1)
        raise KeepingError("the database of the labels does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(labels, "revision", away)
        for _ in range(5):
            assert book.known(fresh=True) == Known(1, {1: "lens"})
        assert len(asked) == 1
    labels.add([Entry(id=new_id(), kind="class", who="Ada", key=2, label="ring")])
    monkeypatch.setattr(label_book, "PATIENCE_S", 0.0)
    book._away_until = 0.0
    assert book.known(fresh=True).classes == {1: "lens", 2: "ring"}


def test_while_one_waits_for_the_database_the_others_are_told_what_was_known(
    labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = LabelBook(labels)
    known = book.known()
    asked, answered = threading.Event(), threading.Event()

    def slow() -> int:
        asked.set()
        assert answered.wait(timeout=20)
        return 1

    monkeypatch.setattr(labels, "revision", slow)
    monkeypatch.setattr(label_book, "LOOK_EVERY_S", 0.0)
    book._look_again = 0.0
    waits = threading.Thread(target=book.known)
    waits.start()
    assert asked.wait(timeout=20)
    told: list[Known] = []
    other = threading.Thread(target=lambda: told.append(book.known()), daemon=True)
    other.start()
    other.join(timeout=5)
    answered.set()
    waits.join()
    assert told == [known]
