"""Milvus and PostgreSQL search in place of an atlas's own index: filled, killed, gone on with, away and back."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from msgspec.structs import replace

from atlas import Atlas, Query, Similar
from atlas.mask import Mask
from atlas.search.exact import top_k_exact
from atlas.search.served_index import SearchAwayError, ServedIndex, served_path
from atlas.storage.publish import current_build
from dashboard.cache.results import Cached
from dashboard.service import index_loading
from dashboard.service.atlas_service import Service
from dashboard.settings import load
from precompute.search_servers import milvus, pgvector
from precompute.search_servers.fill import fill_server
from tests.search_servers import Milvus
from tests.unit.atlas.labels.conftest import database_of, postgres  # noqa: F401  a fixture

ASKED = Query(space="v1", ranking=Similar((3,)), limit=20)


@pytest.fixture
def root(small_path: Path, tmp_path: Path) -> Path:
    """An atlas whose builds are another's, beside which a file may be written."""
    out = tmp_path / "atlas"
    out.mkdir()
    shutil.copy(small_path / "CURRENT", out)
    (out / "builds").symlink_to(small_path / "builds")
    return out


class Away:
    """An index whose server may be away."""

    name, leaves, ended = "milvus", 4, False

    def __init__(self, embeddings: Any) -> None:
        self._embeddings, self.n_rows, self.away = embeddings, len(embeddings), False
        self.isolated, self.isolated_embeddings = np.empty(0, dtype=np.int64), embeddings[:0]

    def candidates(self, queries: Any, setting: Any) -> Any:
        if self.away:
            self.ended = True
            raise SearchAwayError("nobody there")
        return np.array([top_k_exact(self._embeddings, one, setting.candidates)[0] for one in queries])


def service_of(root: Path, tmp_path: Path, url: str, **settings: Any) -> Service:
    folders = {f"{name}_dir": str(tmp_path / name) for name in ("cache", "kept", "scratch")}
    given = load({}, atlas=str(root), search_url=url, **folders, **settings)
    return Service(given, Cached(Flask("test"), given))


def until_ready(service: Service, wanted: str = "ready", seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while service.progress(service.atlas) != wanted:
        assert time.monotonic() < deadline, service.progress(service.atlas)
        time.sleep(0.05)


def test_a_server_that_is_away_is_done_without_and_comes_back_by_itself(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = current_build(root)
    atlas = Atlas.open(root)
    n, d = atlas.space().embeddings.shape
    path = served_path(root, build, "v1", "milvus")
    path.parent.mkdir()
    path.write_text(f'{{"engine": "milvus", "name": "x", "n_rows": {n}, "dimensions": {d}, "leaves": 4}}')
    opened: list[Away] = []
    gone = False

    def open_served(url: str, served: ServedIndex, embeddings: Any) -> Away:
        opened.append(Away(embeddings))
        opened[-1].away = gone
        return opened[-1]

    monkeypatch.setattr("atlas.space.open_served", open_served)
    monkeypatch.setattr(index_loading, "AGAIN_S", 0.0)
    service = service_of(root, tmp_path, "http://127.0.0.1:9")
    until_ready(service)
    exact = atlas.run(replace(ASKED, exact=True))
    found = service.run(ASKED)
    assert found is not None and found.method == "index" and (found.rows == exact.rows).all()
    gone = opened[-1].away = True
    for wanted in (4, 5):  # while it is asked, and when it is known to be away
        other = replace(ASKED, ranking=Similar((wanted,)))
        found = service.run(other)
        assert found is not None and found.method == "exact"
        assert found.receipt == atlas.run(other).receipt, "the question is the same"
    dear = service_of(root, tmp_path / "dear", "http://127.0.0.1:9", job_operations=1_000)
    assert dear.run(ASKED) is None, "where a scan takes too long, the page says why there is no answer"
    gone = False
    until_ready(service)
    found = service.run(replace(ASKED, ranking=Similar((6,))))
    assert found is not None and found.method == "index"


def test_an_atlas_that_no_server_was_filled_from_searches_by_itself(root: Path) -> None:
    atlas = Atlas.open(root, search_url="http://127.0.0.1:9")
    assert atlas.space().served is None and atlas.space().index.name == "scann"


@pytest.fixture
def milvus_server(tmp_path: Path) -> Iterator[Milvus]:
    server = Milvus(tmp_path)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def filled_in_two_runs(root: Path, url: str, module: Any, monkeypatch: pytest.MonkeyPatch) -> ServedIndex:
    """Fill a server; the first run is interrupted in the middle."""
    name = "fill_milvus" if module is milvus else "fill_postgresql"
    write, told = getattr(module, name), 0

    def interrupted(*arguments: Any, first: bool) -> None:
        *others, _ = arguments

        def step(rows: int) -> None:
            nonlocal told
            told += rows
            if told >= 10_000:
                raise KeyboardInterrupt

        write(*others, step, first=first)

    with monkeypatch.context() as patched:
        patched.setattr(module, "BATCH_ROWS", 5_000)
        patched.setattr(module, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            fill_server(root, url, quiet=True, queries=10)
    assert Atlas.open(root, search_url=url).space().served is None, "a part is not searched"
    return fill_server(root, url, quiet=True, queries=10)


def require_recall(root: Path, url: str, served: ServedIndex) -> None:
    """Recall is that which was told, with a selection too, and scores are those of the atlas."""
    atlas, own = Atlas.open(root, search_url=url), Atlas.open(root)
    assert atlas.space().index.name == served.engine
    assert max(one.mean for one in served.recall if (one.kind, one.k) == ("row", 100)) > 0.99
    half = Mask.from_rows(np.arange(0, atlas.n_rows, 2), atlas.n_rows)
    hits = []
    for row in range(0, 20_000, 1_000):
        asked = Query(space="v1", ranking=Similar((row,)), limit=100)
        found, exact = atlas.run(asked), own.run(replace(asked, exact=True))
        assert found.method == "index" and found.recall is not None and found.recall.k >= 100
        hits.append(np.isin(found.rows, exact.rows).mean())
        both = np.intersect1d(found.rows, exact.rows, return_indices=True)
        assert (found.scores[both[1]] == exact.scores[both[2]]).all()
    assert np.mean(hits) > 0.99
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("atlas.queries.planner.SUBSET_ROWS", 100)
        within = atlas.run(ASKED, half)
    assert (within.rows % 2 == 0).all() and (within.rows == own.run(ASKED, half).rows).mean() > 0.9


@pytest.mark.soak
def test_milvus_is_filled_searched_killed_and_back(
    root: Path, tmp_path: Path, milvus_server: Milvus, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = milvus_server.url
    require_recall(root, url, filled_in_two_runs(root, url, milvus, monkeypatch))
    service = service_of(root, tmp_path, url)
    until_ready(service)
    found = service.run(ASKED)
    assert found is not None and found.method == "index"
    told: list[str] = []
    stop = threading.Event()

    def visit(offset: int) -> None:
        for wanted in range(offset, len(service.atlas.space().embeddings), 4):
            if stop.wait(0.05):
                return
            found = service.run(replace(ASKED, ranking=Similar((wanted,))))
            told.append("nothing" if found is None or len(found.rows) < ASKED.limit else found.method)

    def wait_for(method: str) -> None:
        begun, deadline = len(told), time.monotonic() + 120
        while method not in told[begun:]:
            assert time.monotonic() < deadline, told[begun:]
            time.sleep(0.05)

    visitors = [threading.Thread(target=visit, args=(offset,)) for offset in (4, 5, 6, 7)]
    for visitor in visitors:
        visitor.start()
    try:
        wait_for("index")
        milvus_server.kill()
        wait_for("exact")
        milvus_server.start()
        wait_for("index")
    finally:
        stop.set()
        for visitor in visitors:
            visitor.join()
    assert set(told) == {"index", "exact"}, "nobody waits in vain, and an answer says how it was found"


@pytest.mark.soak
def test_postgresql_is_filled_and_searched(
    root: Path,
    postgres: Any,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = database_of(postgres)
    require_recall(root, url, filled_in_two_runs(root, url, pgvector, monkeypatch))
