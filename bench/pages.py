"""How long a person waits: for the first page, and from dropping an X-ray to its heatmap on the screen.

    python bench/pages.py --home HOME [--rounds 5]

HOME is a folder with a default model (`CXR_HOME`; the project's own by default). Every round starts a server of its
own; the first X-ray is dropped as soon as the page can take it, the later ones when the one before is on the screen.
X-rays are synthetic, 1024 px, each another one. Prints medians and ranges in seconds. Measure on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, FilePayload, Page, sync_playwright  # noqa: E402

from cxr.films.synthetic.phantom import FINDINGS, draw_phantom  # noqa: E402
from cxr.ui.predict.examples import EXAMPLES_LABEL  # noqa: E402
from tests.support.browser import wait_until  # noqa: E402
from tests.support.server import Server, starting  # noqa: E402

LATER_FILMS = 5
POLL_MS = 30  # a locator polls after 100 ms, and then only after 500 more
SHOWN = "[...document.querySelectorAll('*')].some(node => node.shadowRoot?.querySelector('.viewer[data-shows]'))"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def main() -> None:
    """Measures and prints the waits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=PROJECT)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    waits: dict[str, list[float]] = {"first page": [], "first film": [], "later film": []}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM") or shutil.which("chromium"), args=FLAGS
        )
        for _ in range(args.rounds):
            for name, seconds in time_round(browser, args.home.resolve()):
                waits[name].append(seconds)
    for name, seconds_s in waits.items():
        fastest, slowest = min(seconds_s), max(seconds_s)
        print(
            f"{name:12} {statistics.median(seconds_s):6.2f} s  ({fastest:.2f} to {slowest:.2f}, {len(seconds_s)} times)"
        )


def time_round(browser: Browser, home: Path) -> Iterator[tuple[str, float]]:
    """The waits of one round, each with its name."""
    films = [synthetic_png(n) for n in range(1 + LATER_FILMS)]
    tab = browser.new_context(color_scheme="dark").new_page()
    started = time.perf_counter()
    with starting(home) as server, contextlib.closing(tab.context):
        open_page(tab, server)
        yield "first page", time.perf_counter() - started
        for n, data in enumerate(films):
            yield "later film" if n else "first film", time_drop(tab, data)
            tab.get_by_role("button", name="Clear", exact=True).click()
            tab.locator(".viewer").wait_for(state="detached")
            tab.wait_for_timeout(500)


def open_page(tab: Page, server: Server) -> None:
    """Opens the page as soon as there is a server, and waits until it takes X-rays."""
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 1):
            break
        time.sleep(0.02)
    tab.goto(server.url)
    wait_until(tab, f"document.body?.innerText.includes('{EXAMPLES_LABEL}')", poll_ms=POLL_MS)


def time_drop(tab: Page, data: bytes) -> float:
    """Seconds from the drop to the X-ray and its heatmap on the screen."""
    started = time.perf_counter()
    tab.locator("input[type=file]").set_input_files(FilePayload(name="f.png", mimeType="image/png", buffer=data))
    wait_until(tab, SHOWN, poll_ms=POLL_MS, limit_ms=120_000)
    return time.perf_counter() - started


def synthetic_png(n: int) -> bytes:
    """A synthetic X-ray, another one for each number."""
    file = io.BytesIO()
    Image.fromarray(draw_phantom(FINDINGS[n % len(FINDINGS)], n, 1024).pixels).save(file, "PNG")
    return file.getvalue()


if __name__ == "__main__":
    main()
