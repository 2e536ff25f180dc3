"""A visitor without a browser: asks a running dashboard what the page would ask, and no more.

What the page's renderer does is done here: an event goes to the callback that holds the state, whatever changes by an
answer calls the callbacks that listen to it, and pictures that an answer names are fetched, each once.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError

from benchmarks.callbacks import DEPENDENCIES, UPDATE, body_of

PICTURES = ("/raster/", "/cutout/", "/background/")
PATIENCE_S = 300


class Visitor:
    """One page, open.

    Attributes
    ----------
    shows : dict
        What the server said last, by "component.property".
    callbacks, pictures : int
        How many were asked for.
    seconds : dict of str to list of float
        How long each took, by "callback" and "picture".
    """

    def __init__(self, url: str, build: str) -> None:
        self.url, self.build = url, build
        self.shows: dict[str, Any] = {}
        self.callbacks = self.pictures = 0
        self.seconds: dict[str, list[float]] = {"callback": [], "picture": []}
        self._seen: set[str] = set()
        self._sent = 0
        listed = json.loads(self.get(DEPENDENCIES))
        # The others run in the browser.
        self._listed = [one for one in listed if one["clientside_function"] is None]

    def get(self, path: str) -> bytes:
        """An answer's body.

        Raises
        ------
        urllib.error.HTTPError
            If the server refuses.
        """
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_S) as response:
            return bytes(response.read())

    def readiness(self) -> dict[str, Any]:
        """Answer of `/readyz`, and its status."""
        try:
            return {"status": int(HTTPStatus.OK), **json.loads(self.get("/readyz"))}
        except HTTPError as refusal:
            if refusal.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return {"status": refusal.code, **json.loads(refusal.read())}

    def send(self, *events: dict[str, Any]) -> None:
        """Let something happen on the page, and ask for all that follows from it."""
        self._sent += 1
        self.shows["event.data"] = {"seq": self._sent, "build": self.build, "events": list(events)}
        changed = ["event.data"]
        while changed:
            changed = [name for at in changed for one in self._listening(at) for name in self._call(one, at)]

    def _listening(self, changed: str) -> Iterator[dict[str, Any]]:
        for one in self._listed:
            if any(f"{given['id']}.{given['property']}" == changed for given in one["inputs"]):
                yield one

    def _call(self, one: dict[str, Any], changed: str) -> list[str]:
        """Ask for a callback and for pictures that its answer names; what it changed."""
        body = json.dumps(body_of(self._listed, one["output"], self.shows, changed)).encode()
        request = urllib.request.Request(f"{self.url}{UPDATE}", body, {"Content-Type": "application/json"})
        begun = time.perf_counter()
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            text = response.read()
        self.seconds["callback"].append(time.perf_counter() - begun)
        self.callbacks += 1
        answer = json.loads(text)["response"] if text else {}
        for path in addresses(answer):
            if path not in self._seen:
                self._seen.add(path)
                self.pictures += 1
                begun = time.perf_counter()
                self.get(path)
                self.seconds["picture"].append(time.perf_counter() - begun)
        found = {f"{component}.{prop}": value for component, props in answer.items() for prop, value in props.items()}
        self.shows |= found
        return list(found)


def addresses(answer: Any) -> Iterator[str]:
    """Addresses of pictures, wherever an answer names them."""
    match answer:
        case str() if answer.startswith(PICTURES):
            yield answer
        case list():
            for part in answer:
                yield from addresses(part)
        case dict():
            for part in answer.values():
                yield from addresses(part)
