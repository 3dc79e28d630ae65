"""What a visitor can do who has not signed in, or who comes by another name: see a page that asks to sign in."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from cxr.ui.server.http_checks import EACH_FILE_BYTES, RequestCheck
from cxr.ui.server.stream_checks import SIGNED_OUT, STRANGER_BYTES, TOO_BIG
from tests.support.event_loop import run
from tests.support.server import Server, serving
from tests.support.visitor import Visitor

COOKIE_SECRET = "a long secret that signs the cookies of this test"
COOKIE = "_streamlit_user"
ANNA, BERT = "anna@hospital.example", "bert@hospital.example"  # a reader, and somebody without a role
SECRETS = f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "{COOKIE_SECRET}"
client_id = "cxr"
client_secret = "-"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"

[roles]
reader = ["{ANNA}"]
"""


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that requires sign-in."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "secrets.toml").write_text(SECRETS)
    with serving(folder / "home", "--secrets.files", str(folder / "secrets.toml")) as running:
        yield running


def cookie_of(server: Server, email: str, secret: str = COOKIE_SECRET, **more: object) -> str:
    """The cookie of somebody who has signed in, as Streamlit makes it."""
    claims = {"origin": server.url, "is_logged_in": True, "email": email, "email_verified": True, "sub": email}
    claims |= {"iss": "https://login.example", "iat": int(time.time())} | more
    return f"{COOKIE}={create_signed_value(secret, COOKIE, json.dumps(claims)).decode()}"


def got(server: Server, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("path", ["/", "/models", "/_stcore/metrics", "/_stcore/host-config", "/_stcore/health"])
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1"])
def test_by_a_foreign_name_there_is_no_page_and_no_metrics(guarded: Server, path: str, host: str) -> None:
    status, _, body = got(guarded, path, Host=host)
    assert status == 421
    assert len(body) < 100


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8501", "127.0.0.1", "[::1]:9000"])
def test_by_its_own_names_there_is_a_page(guarded: Server, host: str) -> None:
    assert got(guarded, "/", Host=host)[0] == 200


def test_metrics_are_for_nobody_where_people_sign_in(guarded: Server) -> None:
    assert got(guarded, "/_stcore/metrics")[0] == got(guarded, "/_stcore/metrics/")[0] == 404
    assert got(guarded, "/_stcore/metrics", Cookie=cookie_of(guarded, ANNA))[0] == 404


@pytest.mark.parametrize("path", ["/", "/models", "/no/such/page", "/_stcore/health", "/static/nothing.js", "/media/x"])
def test_every_answer_forbids_frames_and_foreign_content(guarded: Server, path: str) -> None:
    headers = got(guarded, path)[1]
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["frame-ancestors"] == policy["object-src"] == policy["base-uri"] == "'none'"
    assert policy["default-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data: blob:"
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*", "http:", "https:"} & set(policy["script-src"].split())
    assert headers["x-frame-options"] == "DENY"


def test_no_page_that_frames_this_one_may_send_it_commands(guarded: Server) -> None:
    assert json.loads(got(guarded, "/_stcore/host-config")[2])["allowedOrigins"] == []


def test_an_upload_needs_a_person_who_may_read(guarded: Server) -> None:
    cookies = {
        "nobody": "",
        "forged": cookie_of(guarded, ANNA, "another secret"),
        "expired": cookie_of(guarded, ANNA, iat=1_000_000),
        "unverified": cookie_of(guarded, ANNA, email_verified=False),
        "without a role": cookie_of(guarded, BERT),
        "reader": cookie_of(guarded, ANNA),
    }

    async def statuses() -> dict[str, int]:
        found = {}
        for who, cookie in cookies.items():
            async with Visitor(guarded, cookie) as visitor:
                await visitor.run()
                urls = FileURLs(upload_url=f"/_stcore/upload_file/{visitor.session}/file")
                found[who] = await asyncio.to_thread(visitor.upload, urls, "f.png", b"0" * 1000)
        return found

    assert run(statuses()) == dict.fromkeys(cookies, 403) | {"reader": 204}


def test_a_session_holds_uploads_up_to_a_limit_however_many_there_are_and_at_once() -> None:
    size = 100 + EACH_FILE_BYTES
    held: Counter[str] = Counter()
    at_once: list[int] = []

    async def streamlit(scope: Scope, receive: Receive, send: Send) -> None:
        if check.under_way["me"] == size and not at_once:
            at_once.append(0)
            at_once[:] = [await put(check, 100) for _ in range(3)]
        held["me"] += size
        await PlainTextResponse("", 204)(scope, receive, send)

    check = RequestCheck(streamlit, 3 * size, held_bytes=lambda session: held[session])

    async def one_after_another() -> list[int]:
        return [await put(check, length) for length in (100, 0, None)]

    assert run(one_after_another()) == [204, 413, 411]
    assert at_once == [204, 204, 413]
    assert not check.under_way


async def put(check: RequestCheck, size: int | None) -> int:
    """The status of the answer to an upload of so many bytes."""
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    headers = [] if size is None else [(b"content-length", str(size).encode())]
    scope = {"type": "http", "method": "PUT", "path": "/base/_stcore/upload_file/me/1", "headers": headers}
    await check(scope, receive, send)
    return int(answers[0]["status"])


def rerun(size: int) -> BackMsg:
    """A request to run the page again, with so many bytes of address."""
    ask = BackMsg()
    ask.rerun_script.query_string = "x" * size
    return ask


def test_a_stranger_s_long_message_closes_the_stream_and_a_reader_s_does_not(guarded: Server) -> None:
    async def outcomes() -> tuple[int, str]:
        async with Visitor(guarded) as stranger:
            await stranger.run()
            await stranger.send(rerun(STRANGER_BYTES))
            code = await stranger.closed()
        async with Visitor(guarded, cookie_of(guarded, ANNA)) as reader:
            await reader.send(rerun(STRANGER_BYTES))
            await reader.run()
            return code, reader.session

    code, session = run(outcomes())
    assert code == TOO_BIG
    assert session


def test_signing_out_closes_the_streams_of_that_sign_in_alone(guarded: Server) -> None:
    now = int(time.time())
    leaving, staying = cookie_of(guarded, ANNA, iat=now - 60), cookie_of(guarded, ANNA, iat=now - 30)

    async def outcomes() -> tuple[int, str, str]:
        async with Visitor(guarded, leaving) as first, Visitor(guarded, staying) as second:
            await first.run()
            await second.run()
            await asyncio.to_thread(got, guarded, "/auth/logout", Cookie=leaving)
            code = await first.closed()
            await second.run()
            async with Visitor(guarded, leaving) as again:  # with a copy of the cookie
                await again.run()
                return code, texts(again), texts(second)

    code, again, second = run(outcomes())
    assert code == SIGNED_OUT
    assert ANNA in second
    assert ANNA not in again


def texts(visitor: Visitor) -> str:
    """What the page shows as Markdown."""
    kinds = [element for element in visitor.elements.values() if element.WhichOneof("type") == "markdown"]
    return " ".join(element.markdown.body for element in kinds)


def test_settings_bound_a_message(tmp_path: Path) -> None:
    import tomllib

    settings = tomllib.loads((Path(__file__).parents[2] / ".streamlit" / "config.toml").read_text("utf-8"))
    assert settings["server"]["maxWidgetStateSize"] == 1
    assert settings["server"]["enableAgentApi"] is False
