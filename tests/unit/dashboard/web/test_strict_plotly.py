"""plotly without eval: the bundle has to be the right one, and the policy then forbids it."""

from __future__ import annotations

from pathlib import Path

import plotly
import pytest
from flask import Flask

from atlas.errors import InputError
from dashboard.web.security import content_security_policy
from dashboard.web.strict_plotly import register_strict_plotly

OWN = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def test_a_strict_bundle_of_the_same_version_is_served_and_eval_forbidden(tmp_path: Path) -> None:
    bundle = tmp_path / "plotly-strict.min.js"
    bundle.write_bytes(OWN.read_bytes()[:400].replace(b"plotly.js v", b"plotly.js (strict - minified) v"))
    server = Flask("test")
    answer = server.test_client().get(register_strict_plotly(server, bundle))
    assert answer.status_code == 200 and answer.data == bundle.read_bytes()
    assert "immutable" in answer.headers["Cache-Control"] and answer.mimetype == "text/javascript"
    answer.close()
    assert "unsafe-eval" in content_security_policy([])
    assert "script-src 'self';" in content_security_policy([], evaluates=False)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"/**\n* plotly.js v4.1.1\n", "not a strict bundle of 4.1.1"),
        (b"/**\n* plotly.js (strict - minified) v3.0.1\n", "the strict bundle of 3.0.1; needed is .*strict-dist-min@"),
        (b"alert(1)", "not a strict bundle of plotly.js"),
    ],
)
def test_another_file_is_refused_with_what_is_needed(tmp_path: Path, head: bytes, said: str) -> None:
    (tmp_path / "x.js").write_bytes(head)
    with pytest.raises(InputError, match=said):
        register_strict_plotly(Flask("test"), tmp_path / "x.js")
    with pytest.raises(InputError, match="cannot be read"):
        register_strict_plotly(Flask("test"), tmp_path / "none.js")
