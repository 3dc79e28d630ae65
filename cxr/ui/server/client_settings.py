"""Two scripts in Streamlit's page: where its server is, and the code of charts ahead of the first chart.

Opened at /evaluate, the client asks for /evaluate/_stcore/health first, and the browser's console reports two addresses
that are not there. To answer would be wrong: the client would take /evaluate for the server's address from then on. It
looks nowhere else where the page names the server in `window.__streamlit`, which Streamlit reads for hosts that serve
its pages from elsewhere.

The client loads the code of an element when the first one comes: that of charts is 4.7 MB, and runs for long. Here it
is loaded while the visitor looks at the first page.
"""

from __future__ import annotations

import json

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cxr.ui.server.browser_policy import STREAMLIT_PAGE

MODULE = b'<script type="module"'  # the client itself; what comes before it in the page runs before it
LEFT_OUT = (b"accept-encoding", b"if-none-match", b"if-modified-since")  # of a request for the page: it is changed here
# The folder of the page's address: / for /evaluate, and /cxr/ for /cxr/evaluate behind a proxy that serves it there.
# From there the page loads its files, too.
SERVER = 'window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }'
ELEMENTS = ("PlotlyChart", "DataFrame", "Metric", "Slider", "NumberInput", "Table", "ButtonGroup")
SETTLED_MS = 8_000  # after the page is there, by when its own elements, and an X-ray dropped at once, are drawn
LOADING = """{
const files = %s.map(file => new URL(file, window.__streamlit.BACKEND_BASE_URL).href);
const whenIdle = window.requestIdleCallback ?? setTimeout;
const loadNext = () => files.length && whenIdle(() => import(files.shift()).catch(() => {}).then(loadNext));
addEventListener("load", () => setTimeout(loadNext, %d));
}"""


def _element_files() -> list[str]:
    """The files with the code of these elements, relative to the server's address, in their order."""
    return [
        f"static/js/{path.name}"
        for name in ELEMENTS
        for path in (STREAMLIT_PAGE.parent / "static/js").glob(f"{name}.*.js")
    ]


SCRIPT = f"<script>{SERVER}</script><script>{LOADING % (json.dumps(_element_files()), SETTLED_MS)}</script>"


class ClientSettings:
    """Adds the scripts to Streamlit's page, and to nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer with the scripts where it is the page."""
        accepts = Headers(scope=scope).get("accept", "") if scope["type"] == "http" else ""
        if scope.get("method") != "GET" or "text/html" not in accepts:
            await self.app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in LEFT_OUT]
        await self.app(dict(scope, headers=headers), receive, _PageSender(send))


class _PageSender:
    """Sends an answer: a page once it is complete, with the scripts, and everything else as it comes."""

    def __init__(self, send: Send) -> None:
        self.send = send
        self.start: Message | None = None  # of a page whose end has not come yet
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self.start = message
        elif message["type"] == "http.response.body" and self.start is not None:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_page(self.start)
        else:
            await self.send(message)

    async def _send_page(self, start: Message) -> None:
        body, headers = self.body.replace(MODULE, SCRIPT.encode() + MODULE, 1), MutableHeaders(scope=start)
        for name in ("etag", "last-modified"):
            del headers[name]
        headers["content-length"] = str(len(body))
        await self.send(start)
        await self.send({"type": "http.response.body", "body": body})


def _is_page(start: Message) -> bool:
    return bool(start["status"] == 200) and Headers(scope=start).get("content-type", "").startswith("text/html")
