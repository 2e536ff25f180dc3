"""One list of the names that have a meaning of their own; whatever gives a name one takes it from there."""

from __future__ import annotations

from atlas.catalog.reserved_names import OF_AN_ATLAS, OF_CONDITIONS, OF_THE_PAGE
from atlas.expressions.parser import BOTH, EITHER, NOT
from precompute.sources.column_types import clean_name
from precompute.stages.order import STAGES
from tests.sources import NAMES_OF_OURS


def test_every_column_of_a_build_is_reserved() -> None:
    assert {column.name for stage in STAGES for column in stage.columns} <= OF_AN_ATLAS
    assert all(clean_name(name) == f"survey_{name}" for name in OF_AN_ATLAS)


def test_the_language_and_the_page_have_no_words_beside_the_list() -> None:
    assert {word for word in (*EITHER, *BOTH, *NOT) if word.isalpha()} <= OF_CONDITIONS
    assert OF_CONDITIONS.union(OF_THE_PAGE) <= set(NAMES_OF_OURS), "a catalogue with all of them is tested"
