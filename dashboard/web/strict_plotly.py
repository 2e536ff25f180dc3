"""plotly.js without `eval`, where whoever runs the server has fetched it: the page's policy then allows none.

What comes with plotly's wheel compiles its WebGL by the Function constructor, for which a Content-Security-Policy has
to allow `'unsafe-eval'`. The same version as a strict bundle is a package of npm (`plotly.js-strict-dist-min`); no
wheel carries it. Dash takes a `window.Plotly` that is there already.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import plotly
from flask import Flask, Response, send_file

from atlas.errors import InputError

from ..settings import variable
from .security import immutable

_HEAD_BYTES = 200
_VERSION = re.compile(r"plotly\.js( \(strict[^)]*\))? v([\d.]+)")


def register_strict_plotly(server: Flask, bundle: Path) -> str:
    """Serve a strict bundle; returns its address.

    Raises
    ------
    InputError
        If the file is not the strict bundle of the version that plotly's wheel has.
    """
    wanted = _described(Path(plotly.__file__).parent / "package_data" / "plotly.min.js")[1]
    try:
        strict, version = _described(bundle)
    except OSError as error:
        raise InputError(f"{variable('plotly_bundle')}: {bundle} cannot be read: {error.strerror}") from error
    if not strict or version != wanted:
        found = f"{'the strict' if strict else 'not a strict'} bundle of {version or 'plotly.js'}"
        raise InputError(
            f"{variable('plotly_bundle')}: {bundle} is {found}; needed is plotly-strict.min.js of npm's "
            f"plotly.js-strict-dist-min@{wanted}"
        )
    address = f"/plotly-strict/{version}.js"
    server.add_url_rule(address, "strict_plotly", partial(_send, bundle.resolve()))
    return address


def _described(bundle: Path) -> tuple[bool, str]:
    """Whether a bundle says that it is strict, and its version; the first lines tell."""
    with bundle.open("rb") as file:
        found = _VERSION.search(file.read(_HEAD_BYTES).decode(errors="replace"))
    return (bool(found[1]), found[2]) if found else (False, "")


def _send(bundle: Path) -> Response:
    return immutable(send_file(bundle, mimetype="text/javascript"))
