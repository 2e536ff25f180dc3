"""Waiting for pictures that a server fetches behind the request."""

from __future__ import annotations

import time

from dashboard.service.remote_images import RemoteImages, WantedPicture


def outcome(images: RemoteImages, wanted: WantedPicture) -> bytes | str:
    """What becomes of a picture once it is no longer under way."""
    for _ in range(1000):
        found = images.picture(wanted)
        if found != "coming":
            return found
        time.sleep(0.01)
    raise AssertionError("it is under way for ever")
