"""Checks of every request: the name that the server is called by, uploads, and metrics."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

from cxr.inference.session import MAX_BYTES
from cxr.ui import sign_in
from cxr.ui.server.visitors import is_stranger

UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+$")
METRICS = re.compile(r"/_stcore/metrics/?$")
EACH_FILE_BYTES = 1024  # what a file takes beside its content, so that empty ones are limited too


def streamlit_holds_bytes(session: str) -> int:
    """The bytes of the files that Streamlit holds for a session."""
    manager = Runtime.instance().uploaded_file_mgr
    assert isinstance(manager, MemoryUploadedFileManager)
    files = list(manager.file_storage.get(session, {}).values())
    return sum(len(file.data) + EACH_FILE_BYTES for file in files)


class HostCheck:
    """Refuses every request under a name that is not in `server.allowedHosts`; Streamlit checks its stream alone."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        hosts = Headers(scope=scope).getlist("host") if scope["type"] in ("http", "websocket") else None
        if hosts is None or (len(hosts) == 1 and is_host_allowed(hosts[0])):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse("This server has another name.", 421)(scope, receive, send)


class RequestCheck:
    """Refuses uploads by anybody who may not read X-rays, and more than a session may hold; metrics are for nobody.

    What Streamlit holds of a session's files is counted, with the uploads that are under way.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int = MAX_BYTES, held_bytes: Callable[[str], int] = streamlit_holds_bytes
    ) -> None:
        self.app, self.max_bytes, self.held_bytes = app, max_bytes, held_bytes
        self.under_way: Counter[str] = Counter()  # session -> bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif METRICS.search(scope["path"]) and sign_in.is_controlled():
            await PlainTextResponse("Not found", 404)(scope, receive, send)
        elif scope["method"] == "PUT" and (upload := UPLOAD.search(scope["path"])):
            await self._upload(upload[1], scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _upload(self, session: str, scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "")
        if is_stranger(scope):
            await PlainTextResponse("Sign in first.", 403)(scope, receive, send)
            return
        if not re.fullmatch("[0-9]{1,12}", length):
            await PlainTextResponse("The length of the file must be known.", 411)(scope, receive, send)
            return
        size = int(length) + EACH_FILE_BYTES
        if self.held_bytes(session) + self.under_way[session] + size > self.max_bytes:
            await PlainTextResponse("This session holds too many bytes.", 413)(scope, receive, send)
            return
        self.under_way[session] += size
        try:
            await self.app(scope, receive, send)
        finally:
            self.under_way[session] -= size
            if not self.under_way[session]:
                del self.under_way[session]
