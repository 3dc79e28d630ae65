"""Streamlit's page names its server, and nothing else is changed."""

from __future__ import annotations

import asyncio
import re

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message

from cxr.ui.server.browser_policy import STREAMLIT_PAGE
from cxr.ui.server.client_settings import ELEMENTS, MODULE, SCRIPT, ClientSettings
from tests.support.event_loop import run

PAGE = STREAMLIT_PAGE.read_bytes()
HTML = {"accept": "text/html,*/*"}


async def page(request: Request) -> Response:
    """Streamlit's page in two parts; nobody may be told that a copy of it is still good."""
    assert "if-none-match" not in request.headers or request.headers["accept"] == "*/*"
    return StreamingResponse(iter((PAGE[:500], PAGE[500:])), media_type="text/html", headers={"etag": "x"})


async def file(request: Request) -> Response:
    return PlainTextResponse(MODULE.decode(), headers={"etag": "x"})


def asked(path: str, headers: dict[str, str]) -> tuple[int, Headers, bytes]:
    """The status, headers and content of the answer."""
    app = ClientSettings(Starlette(routes=[Route("/evaluate", page), Route("/file", file)]))
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "http_version": "1.1"}
    scope |= {"headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.Event().wait()  # the visitor stays to the end
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    run(app(scope, receive, send))
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], Headers(scope=sent[0]), body


def test_streamlit_has_a_file_for_each_element_whose_code_is_loaded_ahead() -> None:
    assert [len(re.findall(rf"static/js/{name}[.]", SCRIPT)) for name in ELEMENTS] == [1] * len(ELEMENTS)


def test_the_page_has_the_script_before_the_client_itself() -> None:
    status, headers, body = asked("/evaluate", HTML | {"if-none-match": "x"})
    assert status == 200
    assert body == PAGE.replace(MODULE, SCRIPT.encode() + MODULE)
    assert body.count(SCRIPT.encode()) == 1
    assert int(headers["content-length"]) == len(body)
    assert "etag" not in headers


@pytest.mark.parametrize(
    ("path", "headers", "status", "content"),
    [
        ("/file", HTML, 200, MODULE),
        ("/evaluate", {"accept": "*/*", "if-none-match": "x"}, 200, PAGE),
        ("/none", HTML, 404, b"Not Found"),
    ],
)
def test_what_is_no_page_or_not_asked_for_as_one_stays_as_it_is(
    path: str, headers: dict[str, str], status: int, content: bytes
) -> None:
    answer = asked(path, headers)
    assert (answer[0], answer[2]) == (status, content)
