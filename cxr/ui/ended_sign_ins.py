"""Sign-ins that ended before their time: what a person signs out of in one tab is over in all.

Streamlit reads the cookie of a sign-in when a tab connects, and never again: other tabs, and a copy of the cookie,
would stay signed in for as long as the cookie lasts. So the sign-in is remembered here until it would have expired.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

SignIn = tuple[str, str, str]  # who signed whom in, and when
MOST = 10_000


def sign_in_of(claims: Mapping[str, Any]) -> SignIn:
    """What tells one sign-in from another: the issuer, the person's identifier there, and the time."""
    subject = claims.get("sub") or claims.get("email")
    return str(claims.get("iss")), str(subject), str(claims.get("iat"))


class EndedSignIns:
    """The sign-ins that ended, for all threads of this server."""

    def __init__(self, lasts_s: float, most: int = MOST) -> None:
        self._lasts_s, self._most = lasts_s, most
        self._ended: dict[SignIn, float] = {}
        self._lock = threading.Lock()

    def add(self, claims: Mapping[str, Any]) -> None:
        """End the sign-in of these claims; those that have expired anyway are forgotten, and the oldest of too many."""
        now = time.time()
        with self._lock:
            self._ended = {sign_in: ended for sign_in, ended in self._ended.items() if now - ended < self._lasts_s}
            self._ended[sign_in_of(claims)] = now
            while len(self._ended) > self._most:
                del self._ended[next(iter(self._ended))]

    def has(self, claims: Mapping[str, Any]) -> bool:
        """Whether the sign-in of these claims has ended."""
        return sign_in_of(claims) in self._ended


ENDED = EndedSignIns(30 * 24 * 3600)  # as long as Streamlit's cookie
