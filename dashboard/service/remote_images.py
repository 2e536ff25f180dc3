"""Pictures of services that the settings list: fetched behind the page, checked, kept in a folder of bounded size.

No request waits for another server: it is told what is there by now, and the browser asks again. A few threads fetch;
what does not fit into their queue is simply asked for later. A service that does not answer is left alone for a while.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Protocol
from urllib.error import HTTPError

from PIL import Image

from atlas import Atlas
from atlas.errors import InputError
from atlas.storage.thumbnails import QUALITY

from ..cache.codec import CorruptEntryError
from ..cache.file_backend import ArraySerializer, PrivateFileCache, private_folder
from ..cache.results import cache_key
from ..cutout_services import CutoutService
from ..listed_services import ListedService
from ..settings import Settings
from .bounded_fetch import fetch_bounded

SEEN_PIXELS = 96
USUAL_ARCSEC = 25.152
"""What those are on the sky where an atlas does not say: 96 pixels of the Legacy Surveys."""

THREADS = 4
MOST_WAITING = 64
PATIENCE_S = 8.0
PAUSE_S = 30.0
MOST_BYTES = 2_000_000
MOST_PIXELS = 1024
REFUSALS_KEPT = 10_000
MOST_KEPT = 1_000_000
FORMATS = ("JPEG", "PNG", "WEBP")
MIMES = frozenset(("image/jpeg", "image/png", "image/webp"))
_log = logging.getLogger(__name__)

Absence = Literal["coming", "none", "away"]
"""Why a picture is not there: it is being fetched, its service has none, or its service does not answer."""


class WantedPicture(Protocol):
    """A picture that somebody wants."""

    @property
    def service(self) -> ListedService:
        """Service that is asked for it."""

    @property
    def address(self) -> str:
        """Address that is asked for it."""

    def converted(self, data: bytes, mime: str) -> bytes:
        """Picture that was sent, as browsers get it; raises InputError where it is no such picture."""


class Cutout(NamedTuple):
    """A cut-out that somebody wants: of which service, around which position, how large."""

    service: CutoutService
    ra_deg: float
    dec_deg: float
    pixels: int
    width_arcsec: float

    @property
    def address(self) -> str:
        """Address that is asked for it."""
        return self.service.address(self.ra_deg, self.dec_deg, self.pixels, self.width_arcsec)

    def converted(self, data: bytes, mime: str) -> bytes:
        """Picture that was sent, as WebP: only its pixels go on to browsers."""
        return as_webp(picture_sent(data, mime))


def context_arcsec(atlas: Atlas, pixels: int) -> float:
    """Width of a cut-out of so many pixels, of which the search saw `SEEN_PIXELS`."""
    return pixels / SEEN_PIXELS * (atlas.manifest.seen_arcsec or USUAL_ARCSEC)


class RemoteImages:
    """Fetches pictures and keeps them.

    Parameters
    ----------
    folder : Path
        Of mode 0700, used by nothing else.
    most_bytes, seconds : int
        How much is kept there, and how long.
    """

    def __init__(self, folder: Path, most_bytes: int, seconds: int) -> None:
        self._folder, self._most_bytes, self._seconds = folder, most_bytes, seconds
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting: set[str] = set()
        self._refused: OrderedDict[str, float] = OrderedDict()
        self._silent_until: dict[ListedService, float] = {}

    def picture(self, wanted: WantedPicture) -> bytes | Absence:
        """The picture (WebP) where it is kept; else why it is not there. Never waits for a service."""
        key = cache_key("", "picture", wanted.address)
        found = self._read(key)
        if found is not None:
            return found
        now = time.monotonic()
        with self._lock:
            if self._refused.get(key, 0.0) > now:
                return "none"
            if self._silent_until.get(wanted.service, 0.0) > now:
                return "away"
            if key not in self._waiting and len(self._waiting) < MOST_WAITING:
                self._waiting.add(key)
                if self._pool is None:
                    self._pool = ThreadPoolExecutor(THREADS, "cutouts")
                self._pool.submit(self._fetch, key, wanted)
        return "coming"

    @cached_property
    def _kept(self) -> PrivateFileCache:
        kept = PrivateFileCache(str(private_folder(self._folder)), MOST_KEPT, self._most_bytes, self._seconds)
        kept.serializer = ArraySerializer()
        return kept

    def _read(self, key: str) -> bytes | None:
        try:
            found: bytes | None = self._kept.get(key)
        except CorruptEntryError:
            return None
        return found

    def _fetch(self, key: str, wanted: WantedPicture) -> None:
        try:
            if self._silent_until.get(wanted.service, 0.0) > time.monotonic():
                return  # what waited behind a time-out does not wait for another
            self._kept.set(key, wanted.converted(*fetch_bounded(wanted.address, MOST_BYTES, PATIENCE_S)))
        except HTTPError as error:
            if error.code in (400, 404):
                self._refuse(key)
            else:
                self._leave_alone(wanted.service, f"answers {error.code}")
        except InputError as error:
            _log.warning("a picture of %s was refused: %s", wanted.service.name, error)
            self._refuse(key)
        except OSError as error:
            self._leave_alone(wanted.service, f"does not answer: {error}")
        finally:
            with self._lock:
                self._waiting.discard(key)

    def _refuse(self, key: str) -> None:
        with self._lock:
            self._refused[key] = time.monotonic() + 3600
            while len(self._refused) > REFUSALS_KEPT:
                self._refused.popitem(last=False)

    def _leave_alone(self, service: ListedService, why: str) -> None:
        _log.warning("%s %s; it is left alone for %.0f s", service.name, why, PAUSE_S)
        with self._lock:
            self._silent_until[service] = time.monotonic() + PAUSE_S


def open_cutouts(settings: Settings) -> RemoteImages:
    """The store of pictures that the settings ask for; its folder is made when the first is wanted."""
    return RemoteImages(settings.cache_dir / "cutouts", settings.remote_images_bytes, settings.cache_seconds)


def as_webp(picture: Image.Image) -> bytes:
    """A picture as it is kept and sent on."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=QUALITY, method=2)
    return buffer.getvalue()


def picture_sent(data: bytes, mime: str, most_pixels: int = MOST_PIXELS) -> Image.Image:
    """A picture that was sent, in colour; `most_pixels` is its longest side.

    Raises
    ------
    InputError
        If it is no picture of the formats and sizes that are taken.
    """
    if mime not in MIMES:
        raise InputError(f"it is {mime}: allowed are {', '.join(sorted(MIMES))}")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            if not 1 < max(picture.size) <= most_pixels:
                raise InputError(f"it has {picture.width} × {picture.height} pixels: at most {most_pixels}")
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("it is no picture") from error
