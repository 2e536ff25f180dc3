"""The scores of all galaxies: a selection by similarity, how they are spread, where known ones stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask

from atlas import Alike, Atlas, InputError, Query, Range, Similar, SimilarToGroup
from atlas.labels.entry import Entry
from atlas.queries.planner import embedding_of
from atlas.queries.recovery import Recovery, recovery
from atlas.queries.selection import canonical
from atlas.search.exact import exact_scores
from dashboard.cache.results import Cached
from dashboard.interaction.step import Step, advance
from dashboard.service.atlas_service import Service
from dashboard.service.galaxies import galaxy
from dashboard.service.judgement import Spread, recovery_of, spread_of
from dashboard.settings import load
from dashboard.state import url as links
from dashboard.state.coloring import LIKENESS
from dashboard.state.page_state import State, parts
from dashboard.views import scores
from dashboard.views.paint import color_points
from dashboard.views.palette import DARK


@pytest.fixture(scope="module")
def service(small_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("scores")
    settings = load(
        {}, atlas=str(small_path), cache_dir=str(folder / "cache"), kept_dir=str(folder / "kept"),
        labels=str(folder / "labels.sqlite"),
    )  # fmt: skip
    server = Flask("test")
    with server.test_request_context("/"):
        yield Service(settings, Cached(server, settings))


def step(service: Service, state: State, **event: Any) -> Step:
    return advance(service, links.to_json(state), [event])


def scores_by_oracle(atlas: Atlas, ranking: Similar) -> np.ndarray:
    space = atlas.space()
    return exact_scores(space.embeddings, np.arange(atlas.n_rows), embedding_of(atlas, space, ranking))


@pytest.mark.parametrize("unwanted", [(), (900,)])
def test_a_selection_by_similarity_holds_what_the_search_scores_so(small: Atlas, unwanted: tuple[int, ...]) -> None:
    ranking = Similar((40, 7), unwanted)
    true = scores_by_oracle(small, ranking)
    bound = float(np.sort(true)[-300])
    alike = Alike(*(tuple(small.identity.names(list(rows))) for rows in (ranking.wanted, unwanted)), low=bound)
    assert np.array_equal(small.mask(alike).dense, true >= bound)
    assert small.mask(alike).count == 300
    result = small.run(Query(space=small.default_space, ranking=ranking, exact=True, limit=200))
    assert small.mask(alike).holds(result.rows).all()
    assert np.array_equal((small.mask(alike & Range("dec", None, 0))).rows, [
        row for row in small.mask(alike).rows if small.position(row)[1] <= 0
    ])  # fmt: skip


def test_a_group_counts_as_an_example(small: Atlas) -> None:
    group = Range("dec", 10, 20)
    true = scores_by_oracle(small, SimilarToGroup((7,), group=group))
    alike = Alike((small.identity.name(7),), group=group, low=0.3, high=0.5)
    inside = (true >= np.float32(0.3)) & (true <= np.float32(0.5))
    assert inside.any() and np.array_equal(small.mask(alike).dense, inside)


def test_equal_selections_by_similarity_have_one_form_and_nonsense_is_refused() -> None:
    assert canonical(Alike(("b", "a", "b"), low=0.5)) == Alike(("a", "b", "b"), low=0.5)
    assert canonical(Alike(("b", "a", "b", "a"), low=0.5)) == Alike(("a", "b"), low=0.5)
    with pytest.raises(InputError, match="at least one example"):
        canonical(Alike(low=0.5))
    with pytest.raises(InputError, match="reversed"):
        canonical(Alike(("a",), low=0.5, high=0.4))


def test_a_threshold_is_chosen_on_the_page_and_travels_in_links(service: Service, small: Atlas) -> None:
    state = State(focus=galaxy(small, 7))
    after = step(service, state, **{"is": "alike", "low": "0.6", "high": None}).after
    assert after.selection == Alike((small.identity.name(7),), low=0.6)
    assert links.from_link(links.to_link(after, service.kept, 6_000), service.kept) == after
    mask = service.mask(after.selection)
    assert mask is not None and mask.count == np.count_nonzero(
        scores_by_oracle(small, Similar((7,))) >= np.float32(0.6)
    )
    dropped = step(service, after, **{"is": "alike"}).after
    assert dropped.selection == State().selection
    assert "nothing to be similar to" in step(service, State(), **{"is": "alike", "low": 0.6}).message
    assert "between −1 and 1" in step(service, state, **{"is": "alike", "low": 7}).message
    assert step(service, state, **{"is": "alike", "low": "x"}).message


def test_the_histogram_counts_every_galaxy(service: Service, small: Atlas) -> None:
    assert spread_of(service, State()) is None
    found = spread_of(service, State(focus=galaxy(small, 7)))
    assert isinstance(found, Spread) and found.counts.sum() == small.n_rows
    edges, heights = scores.bars(found.counts)
    assert heights.sum() >= 0.995 * small.n_rows and heights[-1] > 0, "the most similar end is shown whole"
    assert len(edges) == len(heights) + 1 and edges[-1] == pytest.approx(1.0, abs=0.002)
    again = spread_of(service, State(wanted=(galaxy(small, 7),)))
    assert isinstance(again, Spread) and np.array_equal(again.counts, found.counts)


def test_known_objects_are_ranked_among_all(service: Service, small: Atlas) -> None:
    rows = np.array([7, 9, 500, 501, 13_000])
    kept = Entry(id="k" * 24, kind="collection", who="me", label="lenses", members=small.labelled.as_members(rows))
    service.labels.add([kept])
    chosen = step(
        service, State(focus=galaxy(small, 7)), **{"is": "know", "what": {"is": "collected", "name": "lenses"}}
    ).after  # fmt: skip
    assert chosen.drawer == "scores" and chosen.selection == State().selection
    found = recovery_of(service, chosen)
    expected = recovery(small, Query(space=small.default_space, ranking=Similar((7,))), rows)
    assert isinstance(found, Recovery) and found.ranks.tolist() == expected.ranks.tolist()
    assert found.total == small.n_rows - 1, "the example is none of those looked for"
    line = scores.curve(found, DARK)["data"][1]
    assert line["x"] == [1, *found.ranks.tolist(), found.total] and line["y"][-1] == 1.0
    text = str(scores.drawer(service, chosen))
    assert "lenses" in text and "4 known among 19,999" in text
    assert step(service, chosen, **{"is": "know", "what": None}).after.known is None


def test_both_planes_are_coloured_by_similarity(service: Service, small: Atlas) -> None:
    state = State(focus=galaxy(small, 7), color=LIKENESS)
    rows = np.arange(0, small.n_rows, 97, dtype=np.uint32)
    found = color_points(service, state, rows, DARK)
    assert found is not None and found.missing == 0
    true = scores_by_oracle(small, Similar((7,)))
    middle = np.argsort(true[rows])[5:-5]
    assert (np.diff(found.values[middle]) >= 0).all() and np.ptp(found.values) > 0.9
    low, high = (float(end.split()[-1]) for end in found.ends)
    assert np.quantile(true, [0.01, 0.99]) == pytest.approx([low, high], abs=0.02)
    assert color_points(service, State(color=LIKENESS), rows, DARK) is None
    assert parts(state)["map"].focus == state.focus, "another galaxy is another map"
    assert parts(State(focus=state.focus))["map"].focus is None
