"""Who acts, and what the person's role allows."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

import pytest

from cxr.core.access import (
    LEGACY_ACTIONS,
    LOCAL,
    REQUIRED_ROLE,
    ROLES,
    Action,
    Person,
    acting_as,
    authorize,
    current_person,
    identify_with,
    require_sign_in,
)
from cxr.core.errors import AccessError

PROJECT = Path(__file__).parents[2]
READER = Person("a@b", "reader")


@pytest.mark.parametrize("action", Action)
def test_an_action_is_denied_below_its_role_and_allowed_from_that_role_on(action: Action) -> None:
    lowest = ROLES.index(REQUIRED_ROLE[action])
    for role in (None, *ROLES):
        with acting_as(Person("a@b", role)):
            if role is not None and ROLES.index(role) >= lowest:
                assert authorize(action).name == "a@b"
            else:
                with pytest.raises(AccessError, match=REQUIRED_ROLE[action]) as denied:
                    authorize(action)
                assert denied.value.code == "access.role"


def test_without_access_control_the_local_person_may_do_everything() -> None:
    assert current_person() is LOCAL
    assert all(LOCAL.may(action) for action in Action)


def test_a_person_acts_in_one_thread_only() -> None:
    names: list[str] = []
    with acting_as(READER):
        thread = threading.Thread(target=lambda: names.append(current_person().name))
        thread.start()
        thread.join()
    assert names == ["local"]
    assert current_person() is LOCAL


def test_a_resolver_is_asked_each_time_and_only_in_its_own_thread() -> None:
    people = iter([READER, Person("c@d", None)])
    names: list[str] = []

    def page() -> None:
        identify_with(lambda: next(people))
        names.extend(current_person().name for _ in range(2))

    thread = threading.Thread(target=page)
    thread.start()
    thread.join()
    assert names == ["a@b", "c@d"]
    assert current_person() is LOCAL


def test_the_reason_of_a_denial_has_the_role_that_is_needed_and_the_present_one() -> None:
    assert '"reader"' in READER.denial_reason(Action.DELETE_MODEL)
    assert '"admin"' in READER.denial_reason(Action.DELETE_MODEL)
    assert "Sign in" in Person("", None).denial_reason(Action.READ_FILMS)


def test_former_names_are_no_present_ones() -> None:
    assert not set(LEGACY_ACTIONS) & set(Action)


LIBRARY = [path for path in (PROJECT / "cxr").rglob("*.py") if path.parts[-2] != "core" and "ui" not in path.parts]


def test_the_library_asks_for_every_action_that_changes_something() -> None:
    used = {
        Action[node.attr]
        for path in LIBRARY
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action"
    }
    assert used == {action for action in Action if not action.only_views}


def test_where_people_must_sign_in_nobody_acts_until_somebody_is_named() -> None:
    require_sign_in(True)
    assert current_person().role is None
    with pytest.raises(AccessError):
        authorize(Action.READ_FILMS)
    with acting_as(READER):
        assert authorize(Action.READ_FILMS) == READER
    require_sign_in(False)
    assert current_person() is LOCAL
