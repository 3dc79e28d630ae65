"""A visitor of the dashboard without a browser: speaks Streamlit's protocol over the real server's own doors.

What the page shows is kept as the server sends it; what a person would do is a changed widget and another run.
"""

from __future__ import annotations

import asyncio
import http.client
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs, UploadedFileInfo
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.support.server import Server

ANSWER_S = 120
LARGEST_BYTES = 100_000_000
BOUNDARY = "the-visitor-s-mark"


class Refused(Exception):
    """The server did not do what was asked."""


@dataclass
class Visitor:
    """One session: its stream, its token against forged requests, and what its page shows."""

    server: Server
    sign_in: str = ""  # the cookie of a signed-in person
    cookie: str = ""
    token: str = ""
    session: str = ""
    elements: dict[tuple[int, ...], Element] = field(default_factory=dict)
    _stream: ClientConnection | None = None

    async def __aenter__(self) -> Visitor:
        token = (await asyncio.to_thread(_asked, self.server, "GET", "/_stcore/health"))[1]
        self.token = token.partition("=")[2]
        self.cookie = "; ".join(filter(None, (token, self.sign_in)))
        self._stream = await connect(
            f"{self.server.url.replace('http', 'ws')}/_stcore/stream",
            origin=self.server.url,  # type: ignore[arg-type]  # a name of its own for a text
            subprotocols=["streamlit", self.token],  # type: ignore[list-item]
            additional_headers={"Cookie": self.cookie},
            max_size=LARGEST_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream:
            await self._stream.close()

    async def run(self, *changed: WidgetState) -> None:
        """Have the page's script run, with these widgets changed, until it has come to its end."""
        ask = BackMsg()
        ask.rerun_script.query_string = ""
        ask.rerun_script.widget_states.widgets.extend(changed)
        await self._send(ask)
        while True:
            told = await self._next()
            if told.WhichOneof("type") == "script_finished":
                if told.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                    return
                if told.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    raise Refused(f"The page's script ended with {told.script_finished}.")

    async def send(self, ask: BackMsg) -> None:
        """Send any message of the protocol."""
        await self._send(ask)

    async def closed(self) -> int:
        """The code with which the server closes the stream."""
        try:
            while True:
                await self._next()
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd else 0

    async def press(self, key: str) -> None:
        await self.run(WidgetState(id=self.id_of(key), trigger_value=True))

    async def drop(self, key: str, name: str, data: bytes) -> None:
        """Upload a file and put it into the uploader of this key."""
        ask = BackMsg()
        ask.file_urls_request.request_id = uuid.uuid4().hex
        ask.file_urls_request.file_names.append(name)
        ask.file_urls_request.session_id = self.session
        await self._send(ask)
        while (told := await self._next()).WhichOneof("type") != "file_urls_response":
            pass
        (urls,) = told.file_urls_response.file_urls
        status = await asyncio.to_thread(self.upload, urls, name, data)
        if status != 204:
            raise Refused(f"The upload was answered with {status}.")
        state = WidgetState(id=self.id_of(key))
        info = UploadedFileInfo(name=name, size=len(data), file_id=urls.file_id, file_urls=urls)
        state.file_uploader_state_value.uploaded_file_info.append(info)
        await self.run(state)

    def upload(self, urls: FileURLs, name: str, data: bytes) -> int:
        """The status with which the server answers to this file."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n'
        body = head.encode() + data + f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Cookie": self.cookie,
            "X-Xsrftoken": self.token,
            "Origin": self.server.url,
        }
        return _asked(self.server, "PUT", urls.upload_url, body, headers)[0]

    def id_of(self, key: str) -> str:
        """The widget whose key begins so."""
        found = next((one for _, widget in self.widgets() if key in (one := str(widget.id))), None)
        if found is None:
            raise Refused(f"The page has no '{key}'.")
        return found

    def widgets(self) -> Iterator[tuple[str, Any]]:
        """Kind and content of everything on the page that has a key."""
        for element in self.elements.values():
            kind = str(element.WhichOneof("type"))
            content = getattr(element, kind)
            if getattr(content, "id", ""):
                yield kind, content

    async def _send(self, ask: BackMsg) -> None:
        if self._stream is None:
            raise Refused("There is no stream.")
        await self._stream.send(ask.SerializeToString())

    async def _next(self) -> ForwardMsg:
        """What the server says next, taken into what the page shows."""
        if self._stream is None:
            raise Refused("There is no stream.")
        data = await asyncio.wait_for(self._stream.recv(), ANSWER_S)
        told = ForwardMsg.FromString(data if isinstance(data, bytes) else data.encode())
        kind = told.WhichOneof("type")
        if kind == "new_session":
            self.session = told.new_session.initialize.session_id
            self.elements.clear()
        elif kind == "delta" and told.delta.WhichOneof("type") == "new_element":
            self.elements[tuple(told.metadata.delta_path)] = told.delta.new_element
        return told


def _asked(
    server: Server, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str]:
    """An answer's status, and the cookie that came with it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=ANSWER_S)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        answer.read()
        return answer.status, (answer.getheader("Set-Cookie") or "").split(";")[0]
    finally:
        connection.close()
