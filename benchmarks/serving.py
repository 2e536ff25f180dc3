"""A real server in a process of its own, and a real browser in front of it, for benchmarks and tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-compositing",  # a page is put together by the processor at half the cost; WebGL draws as before
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]
START_S = 60


class Server:
    """A running dashboard.

    Attributes
    ----------
    url : str
        Where it answers, without a slash at the end.
    """

    def __init__(self, process: subprocess.Popen[str], log: Path, url: str) -> None:
        self.process = process
        self.log = log
        self.url = url

    def output(self) -> str:
        """Output of the server so far."""
        return self.log.read_text()

    def require_running(self) -> None:
        """Whoever finds no server is told what it printed last.

        Raises
        ------
        RuntimeError
            If it has ended.
        """
        status = self.process.poll()
        if status is not None:
            raise RuntimeError(f"the server has ended, with status {status}:\n{self.output()}")


@contextmanager
def serve(
    atlas: Path,
    scratch: Path,
    *,
    module: str = "dashboard",
    packages: Path = ROOT,
    until_ready: bool = True,
    patience_s: float = START_S,
    port: int = 0,
    **settings: object,
) -> Iterator[Server]:
    """Run `python -m dashboard` until the block ends, on a free port where none is named.

    `packages` is the folder that the module is imported from; `settings` become GALAXY_FINDER_* variables.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GALAXY_FINDER_")}
    for name in ("cache", "kept", "scratch"):
        environment[f"GALAXY_FINDER_{name.upper()}_DIR"] = str(scratch / name)
    environment["GALAXY_FINDER_LABELS"] = str(scratch / "labels.sqlite")
    # Nothing that is typed here leaves the machine.
    environment |= {f"GALAXY_FINDER_{k.upper()}": str(v) for k, v in {"name_resolver": "off", **settings}.items()}
    log = scratch / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module, "--atlas", str(atlas), "--port", str(port)],
            cwd=packages, env=environment, stdout=out, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    try:
        server = Server(process, log, _address(process, log, patience_s))
        if until_ready:
            _wait_until_ready(server, patience_s)
        try:
            yield server
        except Exception as error:
            error.add_note(f"the server printed:\n{server.output()}")
            raise
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def browser() -> Iterator[Browser]:
    """Headless Chromium, the system's own.

    Raises
    ------
    RuntimeError
        If there is none; says how to get it.
    """
    path = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if path is None:
        raise RuntimeError("no Chromium here: install one (Debian: apt-get install chromium), or run .ci/run once")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


def settle(page: Page, timeout_s: float = 45) -> None:
    """Wait until the page has drawn what it was told and nothing is under way."""
    page.wait_for_function(
        """() => document.querySelectorAll('.js-plotly-plot .main-svg').length >= 2
              && window.galaxyFinder && window.galaxyFinder.ready && window.galaxyFinder.idle()
              && !document.querySelector('[data-dash-is-loading]') && document.title !== 'Updating...'""",
        timeout=timeout_s * 1000,
    )
    page.wait_for_timeout(250)
    page.wait_for_function(
        "() => window.galaxyFinder.idle() && !document.querySelector('[data-dash-is-loading]')",
        timeout=timeout_s * 1000,
    )


def _address(process: subprocess.Popen[str], log: Path, patience_s: float) -> str:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        for line in log.read_text().splitlines():
            for word in line.split():
                if word.startswith("http://"):
                    return word.rstrip("/.,")
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text()}")


def _wait_until_ready(server: Server, patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{server.url}/readyz", timeout=5) as response:
                if response.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        if server.process.poll() is not None:
            break
        time.sleep(0.2)
    raise RuntimeError(f"the server is not ready:\n{server.output()}")
