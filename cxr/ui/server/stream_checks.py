"""Checks of every stream between a page and the server: how much a stranger may send, and when a sign-in has ended."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit import config
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from cxr.ui.ended_sign_ins import ENDED, SignIn, sign_in_of
from cxr.ui.server.visitors import claims_of, is_stranger

STRANGER_BYTES = 16_384  # of one message; Streamlit holds a session's last one
TOO_BIG, SIGNED_OUT = 1009, 1000  # codes with which a stream is closed
LOGOUT = re.compile(r"/auth/logout/?$")
DISCONNECT: Message = {"type": "websocket.disconnect", "code": SIGNED_OUT}


class StreamCheck:
    """Closes a stream on which a person who may not read X-rays sends much, and all streams of a sign-in that ends.

    Messages that clear the caches of all visitors go no further: whoever wants that restarts the server.
    The pages at the other end of the latter are sent to the first page, as Streamlit sends the one that signs out.
    """

    def __init__(self, app: ASGIApp, stranger_bytes: int = STRANGER_BYTES) -> None:
        self.app, self.stranger_bytes = app, stranger_bytes
        self.open: defaultdict[SignIn, set[asyncio.Event]] = defaultdict(set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the stream or the request on."""
        if scope["type"] == "websocket":
            await self._stream(scope, receive, send)
        else:
            claims = claims_of(scope) if scope["type"] == "http" and LOGOUT.search(scope["path"]) else {}
            await self.app(scope, receive, send)
            if claims:
                self.end(claims)

    def end(self, claims: Mapping[str, Any]) -> None:
        """End the sign-in of these claims, and close all its streams."""
        ENDED.add(claims)
        for ended in self.open.get(sign_in_of(claims), ()):
            ended.set()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        claims, limit = claims_of(scope), self.stranger_bytes if is_stranger(scope) else None
        ended, code = asyncio.Event(), None

        async def receive_checked() -> Message:
            nonlocal code
            message = await _unless(ended, receive)
            while message is not None and _clears_caches(message):
                message = await _unless(ended, receive)
            if message is None:
                await send({"type": "websocket.send", "bytes": to_first_page()})
                code = SIGNED_OUT
            elif limit is not None and len(message.get("bytes") or b"") > limit:
                code = TOO_BIG
            return DISCONNECT if message is None or code is not None else message

        if claims:
            self.open[sign_in_of(claims)].add(ended)
        try:
            await self.app(scope, receive_checked, send)
        finally:
            if claims:
                self._forget(sign_in_of(claims), ended)
        if code is not None:
            await send({"type": "websocket.close", "code": code})

    def _forget(self, sign_in: SignIn, ended: asyncio.Event) -> None:
        self.open[sign_in].discard(ended)
        if not self.open[sign_in]:
            del self.open[sign_in]


def to_first_page() -> bytes:
    """The message of Streamlit's protocol that has a page go to the first one, as after signing out."""
    message = ForwardMsg()
    message.auth_redirect.url = f"/{config.get_option('server.baseUrlPath').strip('/')}"
    return message.SerializeToString()


def _clears_caches(message: Message) -> bool:
    """Whether this is Streamlit's message that clears the caches."""
    try:
        return BackMsg.FromString(message.get("bytes") or b"").WhichOneof("type") == "clear_cache"
    except DecodeError:
        return False  # Streamlit closes the stream


async def _unless(ended: asyncio.Event, receive: Receive) -> Message | None:
    """What is received next; None where the event comes first."""
    message, end = asyncio.ensure_future(receive()), asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait({message, end}, return_when=asyncio.FIRST_COMPLETED)
        return None if ended.is_set() else message.result()
    finally:
        for task in (message, end):
            task.cancel()
