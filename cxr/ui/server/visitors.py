"""Who sends a request, by its cookie: what Streamlit itself reads only where a page connects its stream."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import HTTPConnection
from starlette.types import Scope
from streamlit.auth_util import get_cookie_with_chunks
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from cxr.core.access import LOCAL, Action, Person
from cxr.ui import sign_in


def visitor_of(scope: Scope) -> Person:
    """The person who sends this request; the local one where nobody need sign in."""
    return sign_in.person_with(claims_of(scope)) if sign_in.is_controlled() else LOCAL


def is_stranger(scope: Scope) -> bool:
    """Whether the visitor may not even read X-rays: not signed in, or without a role."""
    return not visitor_of(scope).may(Action.READ_FILMS)


def claims_of(scope: Scope) -> Mapping[str, Any]:
    """The claims of the sign-in whose cookie came with the request; empty where there is none, or a forged one."""
    secret, cookies = get_cookie_secret(), HTTPConnection(scope).cookies

    def signed(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1")) if value and secret else None

    try:
        claims = json.loads(get_cookie_with_chunks(signed, USER_COOKIE_NAME) or b"{}")
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}
