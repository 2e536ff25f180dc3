"""Serve an atlas: `python -m dashboard --atlas DIR --host HOST --port PORT`.

Checks what commonly goes wrong (no atlas, a port in use) and says what to do about it, then runs gunicorn with
`gunicorn_options`. `gunicorn.conf.py` at the root of the repository takes the same options, so that
`gunicorn dashboard.wsgi:server` serves alike.
"""

from __future__ import annotations

import argparse
import errno
import os
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from atlas.errors import AtlasError, FormatError, ResourceError
from atlas.storage import validate

from .request_log import configure_logging
from .settings import Settings, environment, in_words, load, variable

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  heartbeats of workers: a file there never waits for a disk
OPTIONS = ("atlas", "host", "port", "workers", "threads")
"""Settings that the command takes as options too."""


def main(arguments: list[str] | None = None, prog: str = "python -m dashboard") -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=prog, description="Serve an atlas.")
    for name in OPTIONS:
        parser.add_argument(f"--{name}", help=in_words(name))
    parser.epilog = f"What is not given is read from the environment: {variable('atlas')} and so on (docs/serving.md)."
    given = vars(parser.parse_args(arguments))
    try:
        settings = load(**given)
        check_atlas(settings.atlas)
        check_address(settings.host, settings.port)
    except AtlasError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    os.environ.update(environment(settings))  # workers read their settings there
    _Server(settings).run()
    return 0


def check_atlas(root: Path) -> None:
    """Refuse to start without an atlas.

    Raises
    ------
    FormatError
        There is none, or its files are missing, of the wrong size, or with another header; says how to build one.
    """
    try:
        validate.check_files(*validate.open_current(root))
    except FormatError as error:
        installed = not __name__.startswith("dashboard.")  # of a clone it is a package by itself
        demo, build = (
            ("galaxy-finder demo", "galaxy-finder build") if installed else ("make demo", "python -m precompute build")
        )
        raise FormatError(
            f"{error}\n`{demo}` builds one of real galaxies; `{build} SOURCE --out {root}` builds one of yours"
        ) from error


def check_address(host: str, port: int) -> None:
    """Refuse to start where gunicorn could not listen.

    Raises
    ------
    ResourceError
        The port is in use or not ours to take, or the host is not of this machine; says which to choose instead.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gunicorn does: a port just left is free
            probe.bind(address)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: f"port {port} is in use: choose another with PORT=… (or --port; 0 takes a free one)",
            errno.EACCES: f"port {port} is reserved for the system: choose another with PORT=… above 1023",
        }
        message = reasons.get(error.errno or 0, f"cannot listen on {host}: {error.strerror or error}; choose HOST=…")
        raise ResourceError(message) from error


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Options of gunicorn for the dashboard.

    Threads rather than processes, because numpy and the neighbour index release the interpreter's lock while they work
    and a process costs an open index. No preloading: a worker must be able to swap to a new build and let go of the
    old one.
    """
    options: dict[str, Any] = {
        "bind": f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}",
        "worker_class": "gthread",
        "workers": settings.workers,
        "threads": settings.threads,
        "timeout": settings.timeout_s,
        "graceful_timeout": 10,
        "keepalive": 15,  # a page asks for a gallery of images, then for more when its visitor has looked
        "preload_app": False,
        "limit_request_line": 8190,  # the most gunicorn has; longer states travel by their hash
        "accesslog": "-" if settings.access_log and settings.log_format == "text" else None,
        "control_socket_disable": True,  # one address for all servers of a user, and nothing of ours needs it
        "forwarded_allow_ips": "",  # forwarded headers are read in one place: `dashboard.web.security`
        "post_fork": lambda arbiter, worker: configure_logging(settings.log_format),
    }
    if settings.metrics and settings.workers > 1:
        folder = settings.scratch_dir / "metrics"
        options["raw_env"] = [f"PROMETHEUS_MULTIPROC_DIR={folder.absolute()}"]
        options["on_starting"] = lambda arbiter: _empty(folder)
        options["child_exit"] = lambda arbiter, worker: _forget_metrics(worker.pid)
    if os.access(_SHARED_MEMORY, os.W_OK):
        options["worker_tmp_dir"] = str(_SHARED_MEMORY)
    return options


def _empty(folder: Path) -> None:
    """Make a folder for figures of processes; what those of an earlier server left does not count."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def _forget_metrics(pid: int) -> None:
    from prometheus_client.multiprocess import mark_process_dead  # looks for its folder when imported

    mark_process_dead(pid)  # type: ignore[no-untyped-call]


class _Server(BaseApplication):
    """gunicorn, started from here instead of from its command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_options(self._settings).items():
            self.cfg.set(name, value)
        self.cfg.set("loglevel", "warning")
        self.cfg.set("post_worker_init", _say_where)

    def load(self) -> Any:
        from .wsgi import server  # in the worker, after the fork

        return server


def _say_where(worker: Any) -> None:
    """Print the address once the first worker has loaded the application."""
    if worker.age > 1:
        return
    host, port = worker.sockets[0].sock.getsockname()[:2]
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104  compared, not bound
    shown = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
    also = " and at every other address of this machine" if everywhere else ""
    print(f"Galaxy Finder is at http://{shown}:{port}{also} (Ctrl-C ends it)", flush=True)
