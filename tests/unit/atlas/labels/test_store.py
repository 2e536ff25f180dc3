"""What was acknowledged is kept, once, whatever happens; what stands follows from the history."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from atlas.errors import InputError, KeepingError
from atlas.labels import database
from atlas.labels.entry import Entry, Member, new_id
from atlas.labels.schema import METADATA
from atlas.labels.store import Labels
from atlas.search.engines.pgvector import connect_postgresql
from tests.unit.atlas.labels.conftest import crash, database_of

ROOT = Path(__file__).resolve().parents[4]


def label(galaxy: str, name: str, who: str = "Ada", **more: Any) -> Entry:
    return Entry(id=new_id(), kind="label", who=who, galaxy=galaxy, ra_deg=1.5, dec_deg=-2.5, label=name, **more)


def standing(labels: Labels, at: int | None = None) -> dict[tuple[str, str], str]:
    return {(one.galaxy, one.who): one.label for one in labels.labels(at)}


def test_the_last_act_that_was_not_taken_back_stands(labels: Labels) -> None:
    assert (labels.revision(), labels.labels(), labels.history(), labels.classes()) == (0, [], [], {})
    first = labels.add([label("1", "lens"), label("2", "ring"), label("1", "spiral", who="Vera")])
    assert standing(labels) == {("1", "Ada"): "lens", ("2", "Ada"): "ring", ("1", "Vera"): "spiral"}
    labels.add([label("1", "merger"), Entry(id=new_id(), kind="clear", who="Ada", galaxy="2", ra_deg=1, dec_deg=2)])
    assert standing(labels) == {("1", "Ada"): "merger", ("1", "Vera"): "spiral"}
    for expected in ({("1", "Ada"): "merger", ("2", "Ada"): "ring"}, {("1", "Ada"): "lens", ("2", "Ada"): "ring"}):
        labels.add([Entry(id=new_id(), kind="undo", who="Ada")])
        assert standing(labels) == expected | {("1", "Vera"): "spiral"}
    # What held at a revision holds for ever, and nothing leaves the history.
    assert standing(labels, first.revision) == {("1", "Ada"): "lens", ("2", "Ada"): "ring", ("1", "Vera"): "spiral"}
    assert [(act.kind, act.undone) for act in labels.history()] == [
        ("undo", False), ("undo", False), ("clear", True), ("label", True), ("label", False), ("label", False),
        ("label", False),
    ]  # fmt: skip
    assert labels.touched_since(first.revision) is not None
    assert set(labels.touched_since(first.revision) or ()) == {"1", "2"}
    labels.add([Entry(id=new_id(), kind="undo", who="Vera")])
    with pytest.raises(InputError, match="nothing of yours to undo"):
        labels.add([Entry(id=new_id(), kind="undo", who="Vera")])


def test_what_is_sent_again_is_kept_once(labels: Labels) -> None:
    entries = [label("1", "lens", origin='{"order":"most"}', rank=3), Entry(id=new_id(), kind="undo", who="Ada")]
    added = labels.add(entries[:1])
    again = labels.add(entries[:1])
    assert (added.fresh, again.fresh, again.revision) == (1, 0, added.revision)
    assert labels.origins([added.revision]) == {added.revision: '{"order":"most"}'}
    labels.add([*entries, *entries])
    labels.add(entries[1:])
    assert labels.labels() == [] and len(labels.history()) == 2
    with pytest.raises(InputError, match="was given to something else"):
        labels.add([Entry(id=entries[0].id, kind="label", who="Vera", galaxy="1", ra_deg=1, dec_deg=1, label="lens")])


def test_an_entry_that_is_refused_takes_the_others_with_it(labels: Labels) -> None:
    for wrong in (
        Entry(id=new_id(), kind="label", who="Ada", label="lens"),
        label("1", ""), label("1", "a/b"), label("1", "lens", who="  "), label("1", 'say "lens"'),
        Entry(id=new_id(), kind="class", who="Ada", label="lens"),
        Entry(id=new_id(), kind="collection", who="Ada", label="lens"),
    ):  # fmt: skip
        with pytest.raises(InputError):
            labels.add([label("2", "lens"), wrong])
    assert labels.revision() == 0


def test_classes_and_collections_have_revisions(labels: Labels) -> None:
    def named(key: int, name: str) -> Entry:
        return Entry(id=new_id(), kind="class", who="Ada", key=key, label=name)

    def collected(*galaxies: str) -> Entry:
        members = tuple(Member(galaxy, 10.0, -1.0) for galaxy in galaxies)
        return Entry(id=new_id(), kind="collection", who="Ada", label="best", note="so far", members=members)

    labels.add([named(1, "lens"), named(2, "ring"), named(1, "spiral"), named(2, "")])
    assert labels.classes() == {1: "spiral"}
    second = collected("7", "3", "5")
    labels.add([collected("7"), second])
    labels.add([second])
    assert [(c.name, c.revision, c.size, c.note) for c in labels.collections()] == [("best", 2, 3, "so far")]
    assert [m.galaxy for m in labels.collection("best").members] == ["7", "3", "5"]
    assert [m.galaxy for m in labels.collection("best", 1).members] == ["7"]
    with pytest.raises(InputError, match="revision 3"):
        labels.collection("best", 3)


def test_a_collection_is_renamed_dropped_and_restored(labels: Labels) -> None:
    def act(kind: Any, name: str, **more: Any) -> Entry:
        return Entry(id=new_id(), kind=kind, who="Ada", label=name, **more)

    def names(**which: Any) -> list[str]:
        return [f"{one.name}@{one.revision}" for one in labels.collections(**which)]

    members = (Member("7", 10.0, -1.0), Member("3", 10.0, -1.0))
    labels.add([act("collection", "best", members=members), act("collection", "rest", members=members[:1])])
    rename = act("rename", "best", to="lenses")
    renamed = labels.add([rename])
    assert labels.add([rename]).revision == renamed.revision  # sent again, it is not done again
    assert (
        names() == ["lenses@1", "rest@1"] and names(at=2) == ["best@1", "rest@1"] and names(dropped=True) == ["best@1"]
    )
    assert labels.collection("lenses").members == labels.collection("best", 1).members == members
    with pytest.raises(InputError, match="no collection 'best'"):
        labels.collection("best")
    labels.add([act("drop", "rest"), act("restore", "best")])
    assert names() == ["best@1", "lenses@1"]
    # What is kept once more under a name that was dropped goes on from there.
    labels.add([act("collection", "rest", members=members)])
    assert names() == ["best@1", "lenses@1", "rest@2"]
    labels.add([act("rename", "rest", to="rest", note="to be looked at")])
    assert names()[-1] == "rest@3" and labels.collection("rest").note == "to be looked at"
    assert labels.collection("rest").members == members
    for wrong in (act("rename", "best", to="lenses"), act("rename", "none", to="x"), act("drop", "none"),
                  act("restore", "best"), act("rename", "best"), act("rename", "best", to="a/b")):  # fmt: skip
        with pytest.raises(InputError):
            labels.add([wrong])
    assert [one.kind for one in labels.history(4)] == ["collection", "collection", "restore", "drop"]


def test_two_who_write_at_once_lose_nothing(place: str) -> None:
    seen: list[int] = []

    def write(who: str) -> None:
        labels = Labels(place)
        for i in range(15):
            seen.append(labels.add([label(str(i), "lens", who=who)]).revision)
        labels.close()

    threads = [threading.Thread(target=write, args=(who,)) for who in ("Ada", "Vera")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = Labels(place)
    assert len(standing(labels)) == 30 and len(set(seen)) == 30
    labels.close()


def test_a_new_file_in_which_somebody_writes_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "labels.sqlite"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    done.start()
    labels = Labels(str(path))
    assert labels.add([label("1", "lens")]).revision == 1
    assert not done.is_alive()
    done.join()
    labels.close()
    other.close()


def test_the_steps_lead_to_the_tables_of_the_program(place: str, labels: Labels) -> None:
    labels.add([label("1", "lens")])
    url = f"sqlite:///{place}" if "://" not in place else place.replace("postgresql", "postgresql+psycopg", 1)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    newer = Labels(place)
    with pytest.raises(KeepingError, match="newer Galaxy Finder"):
        newer.labels()
    newer.close()


NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade():
    op.add_column("label_event", sa.Column("colour", sa.String(8), nullable=False, server_default="red"))
"""


def test_a_step_keeps_what_an_older_program_kept(
    place: str, labels: Labels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels.add([label("1", "lens"), label("2", "ring")])
    before = labels.history()
    shutil.copytree(database._MIGRATIONS, tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "v0003_colour.py").write_text(NEXT)
    monkeypatch.setattr(database, "_MIGRATIONS", tmp_path / "migrations")
    monkeypatch.setattr(database, "HEAD", "0003")
    newer = Labels(place)
    assert newer.history() == before  # whoever reads first brings the tables up to date
    with newer._database._engine.connect() as connection:
        assert connection.execute(sa.text("SELECT DISTINCT colour FROM label_event")).scalars().all() == ["red"]
    newer.add([label("3", "lens")])
    assert len(newer.labels()) == 3
    newer.close()


def test_what_was_acknowledged_outlives_a_kill(tmp_path: Path) -> None:
    place = tmp_path / "labels.sqlite"
    code = (
        "import sys\nfrom atlas.labels.store import Entry, Labels\nlabels, who = Labels(sys.argv[1]), dict(who='Ada')\n"
        "for i in range(10**6):\n    labels.add([Entry(id=f'entry-{i}', kind='label', galaxy=str(i), ra_deg=1,"
        " dec_deg=2, label='lens', **who)])\n    print(i, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, place], cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split()]
    labels = Labels(place)
    kept = [int(one.galaxy) for one in labels.labels()]
    # At most the one that was under way is there unasked.
    assert kept[: len(told)] == told and len(kept) <= len(told) + 1
    labels.add([label("more", "lens")])
    labels.close()


def test_a_full_disk_is_told_and_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "labels.sqlite"
    before = Labels(place)
    before.add([label("1", "lens")])
    before.close()

    def on_a_full_disk(connection: Any, record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.isolation_level = None
        connection.execute(f"PRAGMA max_page_count={pages}")

    monkeypatch.setattr(database, "_prepare_sqlite", on_a_full_disk)
    full = Labels(place)
    with pytest.raises(KeepingError, match="disk that labels are kept on is full; nothing was kept"):
        full.add([label(str(i), "ring" * 10) for i in range(1000)])
    assert standing(full) == {("1", "Ada"): "lens"}
    full.close()


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    place = tmp_path / "labels.sqlite"
    place.write_bytes(b"not a database" * 100)
    labels = Labels(place)
    with pytest.raises(KeepingError, match="damaged"):
        labels.labels()
    labels.close()
    with pytest.raises(InputError, match=r"SQLite file or in postgresql://"):
        Labels("mysql://root@localhost/labels")


def test_a_postgresql_that_restarts_is_asked_again(postgres: Any) -> None:
    labels = Labels(database_of(postgres))
    first = label("1", "lens")
    labels.add([first])
    crash(postgres)
    with pytest.raises(KeepingError, match="does not answer"):
        labels.add([label("2", "ring")])
    postgres.start()
    # The connection that was open is gone; whoever got no answer sends the same again.
    assert labels.add([first]).fresh == 0
    labels.add([label("2", "ring")])
    assert standing(labels) == {("1", "Ada"): "lens", ("2", "Ada"): "ring"}
    labels.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_a_writer_that_never_ends_is_not_waited_for(
    place: str, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels.add([label("1", "lens")])
    monkeypatch.setattr(database, "BUSY_S", 0.3)
    other = Labels(place)
    engine = sa.create_engine(place.replace("postgresql", "postgresql+psycopg", 1))
    with engine.begin() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(database._WRITERS)))
        with pytest.raises(KeepingError, match="others are writing labels at the moment; try again"):
            other.add([label("2", "ring")])
    engine.dispose()
    other.add([label("2", "ring")])
    assert standing(labels) == {("1", "Ada"): "lens", ("2", "Ada"): "ring"}
    other.close()


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
def test_connections_break_where_a_machine_vanished(place: str) -> None:
    for engine in (database.Database(place)._engine, connect_postgresql(place)):
        with engine.connect() as connection:
            told: Any = connection.connection.dbapi_connection
            asked = told.info.get_parameters()
        silent_s = int(asked["keepalives_idle"]) + int(asked["keepalives_interval"]) * int(asked["keepalives_count"])
        assert (silent_s, asked["tcp_user_timeout"]) == (10, "10000")
        engine.dispose()
