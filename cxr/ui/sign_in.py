"""Who sits before a page, and what of the page is for that person.

Access is controlled where Streamlit's secrets have a section `[auth]`: who is not signed in sees nothing, and what a
person may do says the section `[roles]`, by e-mail address or by the provider's number (`sub`). Without either, the
one local person may do everything. Pages ask here what to show; the actions themselves ask `person.permit` again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from cxr.core.access import LOCAL, ROLES, Person, current_person, told_by

SIGNED_IN_S = 12 * 3600  # after which one signs in again: Streamlit's cookie alone would do for 30 days
TO_SEE = {
    "Predict": "read films",
    "Evaluate": "see evaluations",
    "Train": "see runs",
    "Models": "see models",
    "Data": "see datasets",
}
NOBODY = Person("", None)
HOW_TO_GET_AUTHLIB = "Signing in needs two packages more: pip install -r requirements-login.txt"


def require_access(title: str) -> None:
    """Goes on only where this visitor may see the page of this title; else says what to do, and ends the page."""
    told_by(visitor)
    if not controlled():
        return
    if problem := _misconfigured():
        st.error(problem)
        st.stop()
    person = visitor()
    if person == NOBODY:
        _offer_to_sign_in()
        st.stop()
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.caption(f"{person.name}, {person.role or 'no role'}", width="content")
        st.button("Sign out", key="access.out", on_click=st.logout, type="tertiary")
    if not allowed(TO_SEE[title]):
        st.stop()


def controlled() -> bool:
    """Whether one must sign in: where there are secrets that say so, or secrets that cannot be read."""
    if st.secrets.load_if_toml_exists():
        return "auth" in st.secrets or "roles" in st.secrets
    return any(Path(path).exists() for path in st.get_option("secrets.files"))


def visitor() -> Person:
    """Who sits before the page that is drawn in this thread."""
    return _person(st.user.to_dict(), _roles()) if controlled() else LOCAL


def allowed(action: str) -> bool:
    """Whether the visitor may do this; where not, the page says so."""
    person = current_person()
    if not person.may(action):
        st.info(person.denial_reason(action))
    return person.may(action)


def button(action: str, label: str, *, disabled: bool = False, help: str | None = None, **more: Any) -> bool:
    """A button that who may not do this cannot press, and that then says why."""
    person = current_person()
    if not person.may(action):
        disabled, help = True, person.denial_reason(action)
    return st.button(label, disabled=disabled, help=help, **more)


def _person(user: Mapping[str, Any], roles: Mapping[str, Any]) -> Person:
    """The person that a provider vouches for, with the highest role of those given to the address or the number."""
    issued = user.get("iat")
    old = isinstance(issued, int | float) and time.time() - issued > SIGNED_IN_S
    if not user.get("is_logged_in") or old:
        return NOBODY
    address = "" if user.get("email_verified") is False else str(user.get("email") or "")
    names = {name.casefold() for name in (address, str(user.get("sub") or "")) if name}
    if not names:
        return NOBODY
    given = [role for role in ROLES if names & {str(one).casefold() for one in roles.get(role, ())}]
    return Person(address or str(user["sub"]), given[-1] if given else None)


def _roles() -> Mapping[str, Any]:
    found = st.secrets.get("roles", {}) if st.secrets.load_if_toml_exists() else {}
    return {role: found[role] for role in ROLES if isinstance(found.get(role), list)}


def _misconfigured() -> str:
    """What is wrong with the secrets, in a sentence; "" where nothing is."""
    if not st.secrets.load_if_toml_exists():
        return "The file secrets.toml cannot be read, so nobody is let in. Mend it: see docs/access.md."
    if "auth" not in st.secrets:
        return "secrets.toml gives roles, but no way to sign in, so nobody is let in: see docs/access.md."
    if not _authlib():
        return HOW_TO_GET_AUTHLIB
    return ""


def _authlib() -> bool:
    from importlib.util import find_spec

    return find_spec("authlib") is not None


def _offer_to_sign_in() -> None:
    auth = st.secrets["auth"]
    providers = [None] if "client_id" in auth else [name for name, one in auth.items() if isinstance(one, Mapping)]
    st.markdown("Sign in to read films.")
    for name in providers:
        if st.button(f"Sign in with {name}" if name else "Sign in", type="primary", key=f"access.in.{name or ''}"):
            st.login(name)
