"""Files of a served build that are no longer as they were written: found while serving, and taken out of use.

Opening looks at headers only. A thread of one process of the machine reads every file of the build in use, slowly and
at the lowest priority, and compares its hash with the manifest's. What it finds is kept beside the scratch files, where
all processes look; from then on each question is answered with a sentence that names the file, until the file is whole
again or another build is in use. Damaged files are looked at again each minute.

    <scratch>/damage/<build id>.json      names of damaged files
    <scratch>/damage/.lock                held by the process that looks
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from atlas.errors import AtlasError, DamagedError
from atlas.storage.layout import build_path, write_atomically
from atlas.storage.manifest import Manifest, read_manifest
from atlas.storage.publish import current_build
from atlas.storage.validate import file_faults

LOOK_EVERY_S = 2.0
AGAIN_S = 60.0
PASS_S = 24 * 3600.0
_log = logging.getLogger(__name__)
_names = msgspec.json.Decoder(tuple[str, ...])


class Damage:
    """Known damage of all builds; shared by the processes of a machine by files. Safe to share between
    threads.

    Parameters
    ----------
    scratch : Path
        The folder of derived files.
    """

    def __init__(self, scratch: Path) -> None:
        self.folder = scratch / "damage"
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[str, ...]]] = {}

    def files(self, build_id: str) -> tuple[str, ...]:
        """Damaged files of a build, looked up at most every two seconds."""
        now = time.monotonic()
        with self._lock:
            looked, known = self._known.get(build_id, (-LOOK_EVERY_S, ()))
            if now - looked < LOOK_EVERY_S:
                return known
            known = self._read(build_id)
            self._known = {build_id: (now, known)} if len(self._known) > 8 else self._known | {build_id: (now, known)}
            return known

    def require_whole(self, build_id: str) -> None:
        """Refuse to answer from a build with damaged files.

        Raises
        ------
        DamagedError
            Names the first of them.
        """
        if files := self.files(build_id):
            more = f" and {len(files) - 1} more" if files[1:] else ""
            raise DamagedError(
                f"this atlas is out of use: its file {files[0]}{more} is no longer as it was written; "
                "whoever runs the server has to put it back, or remove this build and build anew"
            )

    def write(self, build_id: str, files: Sequence[str]) -> None:
        """Keep which files of a build are damaged; none clears it."""
        path = self._path(build_id)
        if files:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, msgspec.json.encode(sorted(files)))
        else:
            path.unlink(missing_ok=True)
        with self._lock:
            self._known.pop(build_id, None)

    def _read(self, build_id: str) -> tuple[str, ...]:
        try:
            return _names.decode(self._path(build_id).read_bytes())
        except FileNotFoundError:
            return ()
        except (OSError, msgspec.DecodeError):
            _log.exception("what is damaged cannot be read")
            return ()

    def _path(self, build_id: str) -> Path:
        return self.folder / f"{build_id}.json"


def look_again(build: Path, manifest: Manifest, damage: Damage) -> None:
    """Look at the files that are known to be damaged: what was put back counts as whole."""
    known = damage.files(manifest.build_id)
    if known:
        files = {name: manifest.files[name] for name in known if name in manifest.files}
        damage.write(manifest.build_id, [name for name, _ in file_faults(build, files)])


def look_through(
    build: Path, manifest: Manifest, damage: Damage, pause: Callable[[int], object] = lambda _: None
) -> list[str]:
    """Read every file of a build and write down those that are damaged, each as soon as it is found.

    Parameters
    ----------
    pause : callable
        Told the bytes of each block that was read; may sleep, or raise to stop.
    """
    found: list[str] = []
    for name, fault in file_faults(build, manifest.files, pause):
        _log.error("build %s is out of use: %s", manifest.build_id, fault)
        found.append(name)
        damage.write(manifest.build_id, found)
    return found


class Scrub:
    """The thread that looks through the build in use, over and over.

    Parameters
    ----------
    root : Path
        Folder of the atlas.
    damage : Damage
    megabytes_a_second : int
        How fast files are read.
    """

    def __init__(self, root: Path, damage: Damage, megabytes_a_second: int) -> None:
        self._root = root
        self._damage = damage
        self._rate = megabytes_a_second * 1e6
        self._build_id = ""
        self._lock_file: IO[str] | None = None

    def start(self) -> None:
        """Begin; ends with the process."""
        threading.Thread(target=self._run, name="scrub", daemon=True).start()

    def _run(self) -> None:
        with suppress(OSError, AttributeError):  # of this thread alone, where the system has that
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        last: tuple[str, float] = ("", 0.0)
        while True:
            try:
                if self._is_ours():
                    last = self._once(last)
            except _AnotherBuildError:
                continue
            except (OSError, AtlasError):
                _log.exception("the files of the build in use cannot be looked through")
            time.sleep(AGAIN_S)

    def _once(self, last: tuple[str, float]) -> tuple[str, float]:
        """Look at what is damaged, and at everything where that was not done for a day; which build, and when."""
        build_id = current_build(self._root)
        if build_id is None:
            return last
        build = build_path(self._root, build_id)
        manifest = read_manifest(build)
        look_again(build, manifest, self._damage)
        if self._damage.files(build_id) or (last[0] == build_id and time.monotonic() - last[1] < PASS_S):
            return last
        self._build_id = build_id
        look_through(build, manifest, self._damage, self._pause)
        return build_id, time.monotonic()

    def _pause(self, read: int) -> None:
        time.sleep(read / self._rate)
        if current_build(self._root) != self._build_id:
            raise _AnotherBuildError

    def close(self) -> None:
        """Let another process look."""
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _is_ours(self) -> bool:
        """Whether this is the process of the machine that looks; the lock goes with its process."""
        if self._lock_file is None:
            self._damage.folder.mkdir(parents=True, exist_ok=True)
            file = (self._damage.folder / ".lock").open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
            self._lock_file = file
        return True


class _AnotherBuildError(Exception):
    """A build was published meanwhile: that one is to be looked through."""
