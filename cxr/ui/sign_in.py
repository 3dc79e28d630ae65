"""The person who uses a page, and what that person's role allows on it.

Access control is on when Streamlit's secrets have a section `[auth]`: a visitor who is not signed in sees nothing, and
`cxr.core.role_list` says who has which role. Otherwise the local person may do everything. Pages ask here what to show;
each action checks again with `access.authorize`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import streamlit as st

from cxr.core.access import LOCAL, UNIDENTIFIED, Action, Person, current_person, identify_with, require_sign_in
from cxr.core.errors import AccessError
from cxr.core.role_list import BY_ADDRESS, BY_SUBJECT, RoleList
from cxr.ui.ended_sign_ins import ENDED
from cxr.ui.plain_text import plain

SIGN_IN_LASTS_S = 12 * 3600  # Streamlit's cookie alone lasts for 30 days
Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")
VIEW_ACTIONS = {
    "Predict": Action.READ_FILMS,
    "Reading practice": Action.READ_FILMS,
    "Evaluate": Action.VIEW_EVALUATIONS,
    "Train": Action.VIEW_RUNS,
    "Models": Action.VIEW_MODELS,
    "Data": Action.VIEW_DATASETS,
    "Jobs": Action.VIEW_JOBS,
}
SIGNED_OUT = UNIDENTIFIED
AUTHLIB_MISSING = "Signing in needs two more packages: pip install -r requirements-login.txt"
SECRETS_UNREADABLE = "Cannot read secrets.toml, so nobody can sign in. Correct the file: see docs/access.md."
AUTH_MISSING = "secrets.toml has roles but no section [auth], so nobody can sign in: see docs/access.md."


def require_access(title: str) -> None:
    """Identify the visitor, and stop the page unless the visitor may view it.

    Everything that the page's script does afterward is done by the visitor. Callbacks run before the script, and
    fragments and dialogs without it: what acts there is wrapped in `as_visitor`.
    """
    identify_with(visitor)
    require_sign_in(is_controlled())
    if not is_controlled():
        return
    if problem := _misconfigured():
        st.error(plain(problem))
        st.stop()
    person = visitor()
    if person == SIGNED_OUT:
        _show_sign_in_buttons()
        st.stop()
    with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
        st.caption(f"{plain(person.name)}, {person.role or 'no role'}", width="content")
        st.button("Sign out", key="access.out", on_click=_sign_out, type="tertiary")
    if not allowed(VIEW_ACTIONS[title]):
        st.stop()


def as_visitor(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """The function, done by the visitor; for callbacks, fragments and dialogs, which run without the page's script."""

    @wraps(function)
    def identified(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        identify_with(visitor)
        return function(*args, **kwargs)

    return identified


def is_controlled() -> bool:
    """Whether visitors must sign in: the secrets have roles or a provider, or cannot be read."""
    if st.secrets.load_if_toml_exists():
        return any(section in st.secrets for section in ("auth", BY_ADDRESS, BY_SUBJECT))
    return any(Path(path).exists() for path in st.get_option("secrets.files"))


def visitor() -> Person:
    """The person who uses the page that runs in this thread."""
    return person_with(st.user.to_dict()) if is_controlled() else LOCAL


def person_with(claims: Mapping[str, Any]) -> Person:
    """The person whom these claims of a sign-in name; nobody where it is over, or the role list has a mistake."""
    issued = claims.get("iat")
    expired = isinstance(issued, int | float) and time.time() - issued > SIGN_IN_LASTS_S
    if not claims.get("is_logged_in") or expired or ENDED.has(claims):
        return SIGNED_OUT
    try:
        return RoleList.from_secrets(_secrets()).person(claims)
    except AccessError:
        return SIGNED_OUT


def allowed(action: Action) -> bool:
    """Whether the visitor may do this; if not, the page shows the reason."""
    person = current_person()
    if not person.may(action):
        st.info(plain(person.denial_reason(action)))
    return person.may(action)


def button(action: Action, label: str, *, disabled: bool = False, help: str | None = None, **more: Any) -> bool:
    """A button for an action; disabled, with the reason as its tooltip, if the visitor may not do it."""
    person = current_person()
    if not person.may(action):
        disabled, help = True, plain(person.denial_reason(action))
    return st.button(label, disabled=disabled, help=help, **more)


def _secrets() -> Mapping[str, Any]:
    return st.secrets.to_dict() if st.secrets.load_if_toml_exists() else {}


def _misconfigured() -> str:
    """A sentence about what is wrong with the secrets, or ""."""
    if not st.secrets.load_if_toml_exists():
        return SECRETS_UNREADABLE
    if "auth" not in st.secrets:
        return AUTH_MISSING
    if not has_authlib():
        return AUTHLIB_MISSING
    try:
        RoleList.from_secrets(_secrets())
    except AccessError as error:
        return str(error)
    return ""


def _sign_out() -> None:
    """End the sign-in everywhere: for this tab, and for all others that were opened with it."""
    ENDED.add(st.user.to_dict())
    st.logout()


def has_authlib() -> bool:
    """Whether the package that signs people in is installed."""
    from importlib.util import find_spec

    return find_spec("authlib") is not None


def _show_sign_in_buttons() -> None:
    auth = st.secrets["auth"]
    sections = [name for name, section in auth.items() if isinstance(section, Mapping)]
    providers = [None] if "client_id" in auth else sections
    st.markdown("Sign in to read X-rays.")
    for name in providers:
        if st.button(
            f"Sign in with {plain(name)}" if name else "Sign in", type="primary", key=f"access.in.{name or ''}"
        ):
            st.login(name)
