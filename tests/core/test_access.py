"""Who acts and what that person may do: a role holds those before it, no role may nothing."""

import ast
import threading
from pathlib import Path

import pytest

from cxr.core import access
from cxr.core.access import LOCAL, REQUIRED_ROLE, ROLES, Person, acting_as, authorize, current_person
from cxr.core.errors import AccessError

PACKAGE = Path(__file__).parents[2] / "cxr"


@pytest.mark.parametrize("action", sorted(REQUIRED_ROLE))
def test_an_action_is_refused_below_its_role_and_allowed_from_there_on(action):
    least = ROLES.index(REQUIRED_ROLE[action])
    for role in (None, *ROLES):
        with acting_as(Person("a@b", role)):
            if role is not None and ROLES.index(role) >= least:
                assert authorize(action).name == "a@b"
            else:
                with pytest.raises(AccessError, match=f"needs the role {REQUIRED_ROLE[action]}"):
                    authorize(action)


def test_without_access_control_the_local_person_may_everything():
    assert current_person() is LOCAL and all(LOCAL.may(action) for action in REQUIRED_ROLE)


def test_who_acts_is_known_for_one_thread_alone():
    seen = []
    with acting_as(Person("a@b", "reader")):
        thread = threading.Thread(target=lambda: seen.append(current_person().name))
        thread.start()
        thread.join()
    assert seen == ["local"] and current_person() is LOCAL


def test_what_tells_who_acts_is_asked_each_time(monkeypatch):
    monkeypatch.setattr(access, "_ask", lambda: LOCAL)
    people = iter([Person("a", "reader"), Person("b", None)])
    access.told_by(lambda: next(people))
    assert current_person().name == "a" and current_person().name == "b"


def test_every_action_in_the_table_is_asked_for_where_it_is_done_and_no_other():
    calls = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    asked = {
        node.args[0].value
        for node in calls
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("authorize", "audited")
        and isinstance(node.args[0], ast.Constant)
    }
    assert asked == {action for action in REQUIRED_ROLE if not action.startswith("see ")}
