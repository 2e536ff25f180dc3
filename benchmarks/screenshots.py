"""The README's screenshots, made from the running program: `python -m benchmarks.screenshots docs`."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.serving import browser, serve, settle

DEMO = Path("data/xdf")


def main() -> None:
    """Open the demo, look at it in a few ways, keep the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--atlas", type=Path, default=DEMO)
    parser.add_argument("--id", default="", help="the galaxy to look at")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, serve(args.atlas, Path(scratch)) as server, browser() as chromium:
        page = chromium.new_page(viewport={"width": 1366, "height": 768})
        page.goto(server.url)
        settle(page)
        if args.id:
            page.fill("#find", args.id)
            page.press("#find", "Enter")
        else:
            page.locator(".gf-door .gf-tile").nth(1).click()
        settle(page)
        page.wait_for_timeout(1500)
        page.screenshot(path=args.folder / "screenshot.png")
        page.keyboard.press("t")
        settle(page)
        page.wait_for_timeout(1000)
        page.screenshot(path=args.folder / "screenshot-light.png")


if __name__ == "__main__":
    main()
