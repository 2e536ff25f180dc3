"""The database of the labels: SQLite beside the atlas, or PostgreSQL by URL; transactions, and failures in words.

A write is over when the database says that it is on disk (SQLite: WAL with synchronous=FULL). Writers queue up, in
SQLite by its lock and in PostgreSQL by one of ours, so that entries become visible in the order of their numbers: what
was read up to a number never changes.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from atlas.errors import InputError, KeepingError, shorten
from atlas.labels.schema import HEAD
from atlas.postgresql import bounded_connection

T = TypeVar("T")
FILE = "labels.sqlite"
BUSY_S = 10.0
AGAIN_S = 0.01
CONNECT_S = 5
_WRITERS = 0x67616C61  # names our lock among those of PostgreSQL
_MIGRATIONS = Path(__file__).with_name("migrations")
_log = logging.getLogger(__name__)
logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each of its parts

_SENTENCES = (
    (("disk is full", "no space left", "diskfull", "could not extend"), "the disk that labels are kept on is full"),
    (("locked", "busy", "lock timeout"), "others are writing labels at the moment; try again"),
    (("readonly", "read-only", "permission denied"), "labels cannot be written here: their place is read-only"),
    (("unable to open", "is a directory"), "the database of the labels cannot be opened"),
    (("not a database", "malformed", "disk i/o error"), "the database of the labels is damaged"),
)


class Database:
    """Database of the labels. Nothing is opened or made before it is asked for; safe to share between threads.

    Parameters
    ----------
    place : str or Path
        Path of an SQLite file, or a URL such as postgresql://user@host/name.

    Raises
    ------
    InputError
        If a URL is of another kind.
    """

    def __init__(self, place: str | Path) -> None:
        self._file = None if "://" in str(place) else Path(place)
        self._engine = self._open(str(place))
        self._ready = False  # whether the tables are known to be there and up to date

    def read(self, ask: Callable[[sa.Connection], T], empty: T) -> T:
        """Answer of a question in one view of the database; `empty` where nothing was ever kept.

        Raises
        ------
        KeepingError
            If the database does not answer.
        """
        if self._file is not None and not self._file.exists():
            return empty

        def once() -> T:
            with self._engine.connect() as connection, connection.begin():
                return ask(connection) if self._ready or _version(connection) is not None else empty

        if not self._ready:
            self._told(self._bring_up_to_date)
        return self._told(once)

    def write(self, act: Callable[[sa.Connection], T]) -> T:
        """Do something in one transaction; what it returns is on disk. It may be done twice where a connection broke.

        Raises
        ------
        KeepingError
            If it could not be kept; nothing of it was, unless the connection broke at the very end.
        """

        def once() -> T:
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
                if not self._ready:
                    _migrate(connection)
                return act(connection)

        done = self._told(once)
        self._ready = True
        return done

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    def _told(self, once: Callable[[], T]) -> T:
        with _in_words():
            try:
                return once()
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                _log.warning("the connection to the labels broke; trying once more")
            return once()

    def _bring_up_to_date(self) -> None:
        """Migrate tables of an older version; where there are none, none are made for the sake of reading."""
        with self._engine.connect() as connection, connection.begin():
            version = _version(connection)
        if version is not None and version != HEAD:
            self.write(lambda _: None)
        self._ready = version is not None

    def _open(self, place: str) -> sa.Engine:
        if self._file is not None:
            url = sa.URL.create("sqlite", database=str(self._file))
            engine = sa.create_engine(url, connect_args={"timeout": BUSY_S, "check_same_thread": False})
            sa.event.listen(engine, "connect", _prepare_sqlite)
            sa.event.listen(engine, "begin", _begin_sqlite)
            return engine
        try:
            url = sa.make_url(place)
        except SQLAlchemyError as error:
            raise InputError(f"{shorten(place)!r} is no URL of a database") from error
        if url.get_backend_name() != "postgresql":
            raise InputError(f"labels are kept in an SQLite file or in postgresql://…, not in {url.drivername}://…")
        url = url.set(drivername="postgresql+psycopg")
        engine = sa.create_engine(url, pool_pre_ping=True, connect_args=bounded_connection(CONNECT_S))
        sa.event.listen(engine, "connect", _prepare_postgresql)
        return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`, not by the driver's guess
    _keep_journal_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")


def _keep_journal_ahead(connection: Any) -> None:
    """WAL, which a file is brought to once: SQLite does not wait there for one who writes, as it does elsewhere."""
    ends = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > ends:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def _prepare_postgresql(connection: Any, _: object) -> None:
    connection.execute(f"SET lock_timeout = {int(1000 * BUSY_S)}")  # not in the URL's options, which are the user's
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _version(connection: sa.Connection) -> str | None:
    """The schema's version; None where there is none yet."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    version: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return version


def _migrate(connection: sa.Connection) -> None:
    """Bring the tables up to date, in the transaction of whoever writes first."""
    version = _version(connection)
    if version is not None and version > HEAD:
        raise KeepingError("the database of the labels was made by a newer Galaxy Finder; install that one")
    if version != HEAD:
        from alembic import command  # only who makes or changes tables loads it
        from alembic.config import Config

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
        command.upgrade(config, "head")


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error) or error)
        kind = type(getattr(error, "orig", error)).__name__
        told = f"{kind} {reason}".lower()
        sentence = next((said for words, said in _SENTENCES if any(word in told for word in words)), None)
        _log.error("labels: %s: %s", kind, shorten(reason, 300))
        raise KeepingError(f"{sentence or 'the database of the labels does not answer'}; nothing was kept") from error
