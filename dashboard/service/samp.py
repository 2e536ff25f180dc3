"""A client of SAMP, by which programs on one machine talk to each other: TOPCAT, Aladin, DS9 (IVOA SAMP 1.3).

The standard profile, spoken by the server, which must run on its visitor's own machine: a hub is whoever owns the lock
file in the home folder. The web profile is spoken by the page itself (assets/9-samp-web.js), where this is off.
"""

from __future__ import annotations

import atexit
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from atlas.errors import InputError, shorten

from ..settings import LOOPBACK
from .bounded_fetch import fetch_bounded
from .fits_middle import HEAD_BYTES, image_middle

TABLE, POSITION, ROW = "table.load.votable", "coord.pointAt.sky", "table.highlight.row"
TABLE_FITS, IMAGE = "table.load.fits", "image.load.fits"
TAKES = {TABLE: "tables", POSITION: "positions"}
NAME = "Galaxy Finder"
HEARD = 64
SENT_TABLES = 32
RETRY_S = 10.0
PATIENCE_S = 5.0
SILENT_HUB = "the program that passes SAMP messages on does not answer: end it, or wait, then try again"
NO_HUB = "no program that speaks SAMP is running on this machine: start TOPCAT or Aladin, then try again"

T = TypeVar("T")


class Heard(msgspec.Struct, frozen=True):
    """One message from another program.

    Attributes
    ----------
    n : int
        Counts up from 1.
    what : str
        "position", "row" or "list".
    sender : str
        The program's name.
    text : str
        A position in degrees, or a list's name.
    table : str
        Of a row: the name under which the table was sent.
    row : int
        Its place in that table, from 0; of a list, which it is.
    """

    n: int
    what: str
    sender: str
    text: str = ""
    table: str = ""
    row: int = 0


class SampClient:
    """The connection of a server to the hub of its machine, made when first wanted and again after the hub has gone.

    Parameters
    ----------
    most_bytes : int
        Largest list that is taken.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._talk = threading.Lock()
        self._client: Any = None
        self._tried = -RETRY_S
        self._count = 0
        self._heard: deque[Heard] = deque(maxlen=HEARD)
        self._lists: dict[int, bytes] = {}
        self._tables: dict[str, str] = {}
        # TOPCAT takes no second table of one name, be it of the server before this one.
        self._own = secrets.token_hex(4)
        atexit.register(self.close)

    def send_table(self, url: str, title: str, link: str) -> str:
        """Let every program that takes tables fetch one from an address; returns who was told, in a sentence.

        `link` names the page that the table is of, for when one of its rows comes back.

        Raises
        ------
        InputError
            If there is nobody to send it to.
        """
        with self._lock:
            self._count += 1
            name = f"galaxy-finder-{self._own}-{self._count}"
            self._tables[name] = link
            for old in list(self._tables)[:-SENT_TABLES]:
                del self._tables[old]
        return self._in_time(lambda: self._tell(TABLE, {"url": url, "table-id": name, "name": title}))

    def send_position(self, ra_deg: float, dec_deg: float) -> str:
        """Let every program that can point there; returns who was told, in a sentence.

        Raises
        ------
        InputError
            If there is nobody to tell.
        """
        return self._in_time(lambda: self._tell(POSITION, {"ra": f"{ra_deg:.7f}", "dec": f"{dec_deg:.7f}"}))

    def heard_since(self, n: int) -> tuple[int, list[Heard]]:
        """The count of messages so far, and those after the n-th as far as they are kept; connects where it can."""
        if time.monotonic() - self._tried > RETRY_S:
            self._tried = time.monotonic()
            with suppress(InputError):
                self._in_time(self._require)
        with self._lock:
            return self._count, [one for one in self._heard if one.n > n]

    def link_of(self, table: str) -> str | None:
        """Link of the page that a table was of; None for a table that was not sent from here."""
        return self._tables.get(table)

    def list_of(self, n: int) -> bytes | None:
        """The n-th message's list, as far as it is kept."""
        return self._lists.get(n)

    def close(self) -> None:
        """Leave the hub."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(InputError):
                self._in_time(lambda: _leave(client))

    def _in_time(self, talk: Callable[[], T]) -> T:
        """Outcome of one talk with the hub at a time: its calls wait for an answer for as long as it takes.

        Raises
        ------
        InputError
            If it does not answer in time; whoever asks next is told the same until it does.
        """
        told: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

        def run() -> None:
            try:
                told.put((talk(), None))
            except BaseException as error:
                told.put((None, error))
            finally:
                self._talk.release()

        if not self._talk.acquire(timeout=PATIENCE_S):
            raise InputError(SILENT_HUB)
        threading.Thread(target=run, name="samp", daemon=True).start()
        try:
            outcome, error = told.get(timeout=PATIENCE_S)
        except Empty:
            raise InputError(SILENT_HUB) from None
        if error is not None:
            raise error
        return outcome  # type: ignore[return-value]

    def _require(self) -> Any:
        """The client, connected."""
        from pyvo import samp  # with the XML-RPC that most servers never speak

        self._tried = time.monotonic()
        if self._client is not None:
            with suppress(Exception):  # whatever went wrong, the hub is gone
                self._client.ping()
                return self._client
            _leave(self._client)
            self._client = None
        samp.conf.use_internet = False
        about = {"samp.description.text": "Galaxies that look alike, on a map and on the sky"}
        client = samp.SAMPIntegratedClient(name=NAME, metadata=about, addr="127.0.0.1")
        try:
            client.connect()
        except (samp.SAMPHubError, samp.SAMPProxyError, OSError) as error:
            raise InputError(NO_HUB) from error
        # DS9 says where it points only while it sees a taker of images and one of tables in FITS on the hub.
        heard = {POSITION: self._on_position, ROW: self._on_row, TABLE: self._on_table, TABLE_FITS: self._on_table}
        for mtype, hear in {**heard, IMAGE: self._on_image}.items():
            client.bind_receive_message(mtype, self._answering(client, hear))
        self._client = client
        return client

    def _tell(self, mtype: str, params: dict[str, str]) -> str:
        client = self._require()
        told = sorted({_name_of(client, one) for one in client.get_subscribed_clients(mtype)})
        if not told:
            raise InputError(
                f"no program that runs now takes {TAKES[mtype]}: start TOPCAT, Aladin or DS9, then try again"
            )
        client.notify_all({"samp.mtype": mtype, "samp.params": params})
        return f"Sent to {' and '.join(told)}."

    def _answering(self, client: Any, hear: Any) -> Any:
        """A handler of messages that says to a caller whether it was understood."""

        def receive(_: str, sender: str, msg_id: str | None, __: str, params: Any, ___: Any) -> None:
            told: dict[str, Any] = {"status": "samp.ok", "result": {}}
            try:
                hear(_name_of(client, sender), params)
            except (InputError, KeyError, TypeError, ValueError, OSError) as error:
                words = str(error) if isinstance(error, InputError) else "this message could not be understood"
                told = {"status": "samp.error", "result": {}, "error": {"samp.errortxt": words}}
            if msg_id is not None:
                client.ereply(msg_id, told["status"], told["result"], told.get("error"))

        return receive

    def _on_position(self, sender: str, params: Any) -> None:
        ra_deg, dec_deg = float(params["ra"]) % 360.0, float(params["dec"])
        if not -90 <= dec_deg <= 90:
            raise InputError("a declination is from -90 to 90 degrees")
        if ra_deg == dec_deg == 0:
            raise InputError("this is no place, but what DS9 says beside its image")
        self._keep("position", sender, text=f"{ra_deg:.7f} {dec_deg:+.7f}")

    def _on_image(self, sender: str, params: Any) -> None:
        """An image leads to what lies in its middle."""
        ra_deg, dec_deg = image_middle(fetch_local(str(params["url"]), HEAD_BYTES, head=True))
        self._keep("position", sender, text=f"{ra_deg % 360.0:.7f} {dec_deg:+.7f}")

    def _on_row(self, sender: str, params: Any) -> None:
        table = str(params.get("table-id", ""))
        if table not in self._tables:
            raise InputError("this table was not sent from here, or long ago")
        self._keep("row", sender, table=table, row=int(params["row"]))

    def _on_table(self, sender: str, params: Any) -> None:
        data = fetch_local(str(params["url"]), self._most_bytes)
        name = shorten(str(params.get("name") or params.get("table-id") or "list"), 40)
        n = self._keep("list", sender, text=name)
        with self._lock:
            self._lists[n] = data
            for old in list(self._lists)[:-2]:
                del self._lists[old]

    def _keep(self, what: str, sender: str, **told: Any) -> int:
        with self._lock:
            self._count += 1
            self._heard.append(Heard(self._count, what, sender, **told))
            return self._count


def fetch_local(url: str, most_bytes: int, *, head: bool = False) -> bytes:
    """Content of an address of this machine, or the beginning of it: a file, or what a program serves.

    Raises
    ------
    InputError
        If it is of another machine, or too large.
    """
    parts = urlsplit(url)
    is_file = parts.scheme == "file" and parts.netloc in ("", *LOOPBACK)
    if not is_file and not (parts.scheme == "http" and (parts.hostname or "") in LOOPBACK):
        raise InputError("what is sent is taken from this machine alone: file:/… or http://127.0.0.1:…")
    # No proxy and no redirect to elsewhere: what is asked is the address that was checked.
    return fetch_bounded(url, most_bytes, PATIENCE_S, proxies=False, head=head).data


def _name_of(client: Any, one: str) -> str:
    with suppress(Exception):  # it may have left just now
        return shorten(str(client.get_metadata(one).get("samp.name", one)), 40)
    return one


def _leave(client: Any) -> None:
    if client is None:
        return
    with suppress(Exception):  # a hub that has gone cannot be left
        client.disconnect()
    with suppress(Exception):
        client.client.stop()
