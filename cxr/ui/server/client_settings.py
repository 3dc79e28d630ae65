"""Tells Streamlit's client where its server is, so that it does not look for it below the address of a page.

Opened at /evaluate, the client asks for /evaluate/_stcore/health first, and the browser's console reports two addresses
that are not there. To answer would be wrong: the client would take /evaluate for the server's address from then on. It
looks nowhere else where the page names the server in `window.__streamlit`, which Streamlit reads for hosts that serve
its pages from elsewhere.
"""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MODULE = b'<script type="module"'  # the client itself; what comes before it in the page runs before it
LEFT_OUT = (b"accept-encoding", b"if-none-match", b"if-modified-since")  # of a request for the page: it is changed here
# The folder of the page's address: / for /evaluate, and /cxr/ for /cxr/evaluate behind a proxy that serves it there.
# From there the page loads its files, too.
SCRIPT = '<script>window.__streamlit = { BACKEND_BASE_URL: new URL(".", window.location.href).href }</script>'


class ClientSettings:
    """Adds the script to Streamlit's page, and to nothing else."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer with the script where it is the page."""
        accepts = Headers(scope=scope).get("accept", "") if scope["type"] == "http" else ""
        if scope.get("method") != "GET" or "text/html" not in accepts:
            await self.app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name not in LEFT_OUT]
        await self.app(dict(scope, headers=headers), receive, _PageSender(send))


class _PageSender:
    """Sends an answer: a page once it is complete, with the script, and everything else as it comes."""

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
