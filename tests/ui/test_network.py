"""What the server lets in from the network: this machine alone, its own pages alone, films up to a limit."""

import http.client
import json
import socket
import tomllib
from pathlib import Path

import psutil
import pytest
from streamlit.proto.Common_pb2 import FileURLs
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.event_loop import run
from tests.support.server import serving
from tests.support.visitor import Visitor

PROJECT = Path(__file__).parents[2]
FOREIGN = "http://evil.example"
MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("network") / "home", "--server.maxUploadSize", "1") as running:
        yield running


def asked(server, method, path, body=None, **headers):
    """Status, headers in lower case, and body of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    found = answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    connection.close()
    return found


def stream(server, origin, host=None):
    """A WebSocket to the server as a page of that origin opens it, by that name of the server."""
    return connect(
        f"ws://{host or f'127.0.0.1:{server.port}'}/_stcore/stream",
        sock=socket.create_connection(("127.0.0.1", server.port), 10),
        origin=origin,
        subprotocols=[Subprotocol("streamlit")],
    )


def test_it_listens_on_this_machine_s_own_address_alone(server):
    process = psutil.Process(server.process.pid)
    listening = [
        one.laddr.ip
        for process in (process, *process.children(recursive=True))
        for one in process.net_connections("inet")
        if one.status == psutil.CONN_LISTEN
    ]
    assert listening == ["127.0.0.1"]


def test_the_settings_say_so_and_tell_nobody_anything():
    settings = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text("utf-8"))
    server = settings["server"]
    assert server["address"] == "127.0.0.1"
    assert server["maxUploadSize"] == 200
    assert server["enableXsrfProtection"]
    assert server["enableCORS"]
    assert server["allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["logger"]["enableRich"] is False


def test_its_own_page_opens_a_stream(server):
    with stream(server, server.url) as opened:
        assert opened.subprotocol == "streamlit"


@pytest.mark.parametrize("origin", [FOREIGN, "null", "http://localhost.evil.example", "https://127.0.0.1.evil.example"])
def test_a_foreign_page_opens_no_stream(server, origin):
    with pytest.raises(InvalidStatus) as refused:
        stream(server, origin)
    assert refused.value.response.status_code == 403


def test_a_foreign_name_that_leads_to_this_machine_opens_no_stream(server):
    # As after DNS rebinding: the browser takes page and server for one origin.
    with pytest.raises(InvalidStatus) as refused:
        stream(server, f"http://evil.example:{server.port}", f"evil.example:{server.port}")
    assert refused.value.response.status_code == 403


def form(size):
    head = b'--mark\r\nContent-Disposition: form-data; name="file"; filename="f.png"\r\n\r\n'
    return head + b"0" * size + b"\r\n--mark--\r\n"


def upload(server, size=10, **headers):
    return asked(
        server,
        *("PUT", "/_stcore/upload_file/session/file", form(size)),
        Content_Type="multipart/form-data; boundary=mark",
        **headers,
    )


def test_an_upload_without_the_page_s_token_is_refused(server):
    assert upload(server)[0] == 403
    assert upload(server, Origin=FOREIGN)[0] == 403
    assert upload(server, Origin=FOREIGN, X_Xsrftoken="2|1|2|3", Cookie="_streamlit_xsrf=2|9|9|9")[0] == 403


def token(server):
    """The cookie that the page gets with its first answers, which it then sends back as a header too."""
    _, headers, _ = asked(server, "GET", "/_stcore/host-config")
    _, more, _ = asked(server, "GET", "/_stcore/health")
    cookie = (headers.get("set-cookie") or more["set-cookie"]).split(";")[0]
    return {"Cookie": cookie, "X_Xsrftoken": cookie.partition("=")[2]}


def test_an_upload_for_a_session_that_is_not_there_is_refused(server):
    assert upload(server, **token(server))[0] == 400  # the token is right


def test_an_upload_over_the_limit_is_refused(server):
    async def statuses():
        async with Visitor(server) as visitor:
            await visitor.run()
            path = f"/_stcore/upload_file/{visitor.session}/file"
            return [visitor.upload(FileURLs(upload_url=path), "f.png", b"0" * size) for size in (1000, 2 * MEGABYTE)]

    assert run(statuses()) == [204, 413]


def test_other_origins_are_given_no_leave_to_read_answers(server):
    for path in ("/_stcore/health", "/_stcore/host-config", "/_stcore/upload_file/session/file", "/"):
        for method in ("GET", "OPTIONS"):
            _, headers, _ = asked(server, method, path, Origin=FOREIGN)
            assert headers.get("access-control-allow-origin") not in ("*", FOREIGN)


def test_no_usage_statistics_are_gathered_and_no_error_details_shown(server):
    from streamlit.proto.BackMsg_pb2 import BackMsg
    from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

    ask = BackMsg()
    ask.rerun_script.query_string = ""
    with stream(server, server.url) as opened:
        opened.send(ask.SerializeToString())
        while True:
            told = ForwardMsg.FromString(opened.recv(20))
            if told.WhichOneof("type") == "new_session":
                break
    assert told.new_session.config.gather_usage_stats is False
    assert json.loads(asked(server, "GET", "/_stcore/host-config")[2]).get("enableCustomParentMessages") is not True
