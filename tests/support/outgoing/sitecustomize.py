"""Imported at the start of each Python process of a test server: writes down which other machines it turns to."""

import os
import sys

FILE = os.environ.get("CXR_TEST_OUTGOING", "")


def note(event: str, details: tuple[object, ...]) -> None:
    """Write down the host of a connection or a name look-up, unless it is this machine."""
    if event == "socket.connect" and isinstance(details[1], tuple):
        host = str(details[1][0])
    elif event == "socket.getaddrinfo" and details[0]:
        host = details[0].decode() if isinstance(details[0], bytes) else str(details[0])
    else:
        return
    if host != "localhost" and host != "::1" and not host.startswith("127."):
        with open(FILE, "a", encoding="utf-8") as file:  # noqa: PTH123  pathlib would take time at every start
            file.write(host + "\n")


if FILE:
    sys.addaudithook(note)
