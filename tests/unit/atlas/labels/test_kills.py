"""A writer that is killed before any of its statements, or loses its connection, has kept all of its acts or none."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command, config  # noqa: F401  loaded once, before those who are killed are made

from atlas.errors import KeepingError
from atlas.labels.entry import Entry, Member
from atlas.labels.store import Labels
from tests.unit.atlas.labels.conftest import crash, database_of

EVENTS = 6


def acts(number: int) -> list[Entry]:
    """Acts of each kind: six events of the history, since a name is changed by two."""
    where = {"galaxy": "7", "ra_deg": 1.5, "dec_deg": -2.5}

    def act(kind: Any, label: str, **more: Any) -> Entry:
        return Entry(id=f"{kind}-{label}-{number}", kind=kind, who="Ada", label=label, **more)

    return [
        act("label", "lens", **where),
        act("label", "ring", **where),
        act("undo", ""),
        act("collection", f"old {number}", members=(Member("7", 1.5, -2.5),)),
        act("rename", f"old {number}", to=f"new {number}"),
    ]


# Those who are killed are forked by a process that has neither the threads nor the pipes of the one that tests.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


def keep_until(place: str, number: int, at: int) -> None:
    """Keep some acts, and end without a word at the statement, commit or return of a number."""
    steps = itertools.count()

    def step(*_: Any) -> None:
        if next(steps) == at:
            os.kill(os.getpid(), signal.SIGKILL)

    for target, event in ((sa.Engine, "before_cursor_execute"), (sa.Engine, "commit"), (sa.pool.Pool, "checkin")):
        sa.event.listen(target, event, step)
    Labels(place).add(acts(number))


def is_killed(place: str, number: int, at: int) -> bool:
    """Whether a process that keeps some acts was killed at the statement, commit or return of a number."""
    process = FORKS.Process(target=keep_until, args=(place, number, at), daemon=True)
    process.start()
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


def require_once(place: str, number: int) -> None:
    """Acts that are sent again are there once, however many of them were kept: all or none."""
    labels = Labels(place)
    before = len(labels.history(10_000))
    fresh = labels.add(acts(number)).fresh
    after = labels.history(10_000)
    assert fresh in (0, len(acts(number))) and len(after) == before + (EVENTS if fresh else 0)
    assert len(after) % EVENTS == 0 and labels.labels()[0].label == "lens"
    assert labels.collection(f"new {number}").size == 1
    labels.close()


def test_a_kill_before_any_step_keeps_all_or_nothing(place: str) -> None:
    # The first is killed while tables are made, the next ones at one step after the other; PostgreSQL at some of them.
    assert is_killed(place, 0, 9)
    require_once(place, 0)
    steps = itertools.count(0, 5 if "://" in place else 1)
    last = next(at for at in steps if not is_killed(place, at + 1, at) or require_once(place, at + 1))
    assert last > 12


def test_a_connection_that_is_lost_is_opened_again(postgres: Any) -> None:
    place = database_of(postgres)
    labels, lost = Labels(place), []
    labels.add(acts(0)[:1])
    name = place.split("?")[0].rsplit("/", 1)[1]
    ends = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    def lose(*_: Any) -> None:
        if not lost:
            lost.append(postgres.psql(f"{ends} AND pid <> pg_backend_pid();"))

    # Once between two acts, once before the commit of one.
    lose()
    labels.add(acts(1)[:1])
    lost.clear()
    sa.event.listen(labels._database._engine, "commit", lose)
    labels.add(acts(2)[:1])
    assert lost and len(labels.history()) == 3
    labels.close()


def test_a_postgresql_that_crashes_in_the_middle_has_kept_nothing_of_it(postgres: Any) -> None:
    place = database_of(postgres)
    labels = Labels(place)
    labels.add(acts(0))
    steps = itertools.count()
    sa.event.listen(
        labels._database._engine, "before_cursor_execute", lambda *_: crash(postgres) if next(steps) == 6 else None
    )
    with pytest.raises(KeepingError, match="does not answer"):
        labels.add(acts(1))
    postgres.start()
    assert len(labels.history()) == EVENTS
    labels.close()
    require_once(place, 1)
