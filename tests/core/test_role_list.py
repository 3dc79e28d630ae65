"""Who has which role: nobody by a name that only resembles a listed one."""

from __future__ import annotations

from typing import Any

import pytest

from cxr.core.access import UNIDENTIFIED, Person
from cxr.core.errors import AccessError
from cxr.core.role_list import RoleList

ANNA = "anna@hospital.example"
SECRETS: dict[str, Any] = {
    "auth": {"client_id": "cxr", "client_kwargs": {"prompt": "login"}},
    "roles": {"reader": [ANNA, "straße@hospital.example"], "admin": ["Chief@Hospital.Example"]},
    "roles_by_sub": {"trainer": ["4711"], "admin": ["AbC"]},
}
ISSUERS = {"auth": {"one": {"client_id": "a"}, "two": {"client_id": "b"}}}


def role_of(secrets: dict[str, Any] = SECRETS, **claims: Any) -> str | None:
    return RoleList.from_secrets(secrets).person(claims).role


def verified(address: str, **claims: Any) -> str | None:
    return role_of(email=address, email_verified=True, **claims)


def test_a_listed_address_has_its_role_and_a_listed_identifier_too() -> None:
    assert verified(ANNA) == "reader"
    assert verified("ANNA@hospital.example", sub="other") == "reader"
    assert verified("chief@hospital.example") == "admin"
    assert role_of(sub="4711") == "trainer"
    assert verified(ANNA, sub="4711") == "trainer", "the highest role counts"
    assert verified("nobody@hospital.example", sub="4712") is None


@pytest.mark.parametrize("sub", [ANNA, "abc", "ABC", " AbC", "AbC ", "4711\n", "４７１１", "", None, 4711, ["4711"]])
def test_an_identifier_counts_letter_by_letter_and_is_no_address(sub: object) -> None:
    assert role_of(sub=sub) is None


@pytest.mark.parametrize("address", ["strasse@hospital.example", "STRASSE@hospital.example", "STRAẞE@hospital.example"])
def test_two_addresses_that_case_folding_makes_one_are_two(address: str) -> None:
    assert verified("straße@hospital.example") == "reader"
    assert verified(address) is None


def test_letters_outside_of_ascii_are_not_lowered_to_ascii() -> None:
    assert verified("\u212aim@hospital.example") is None
    secrets = SECRETS | {"roles": {"admin": ["kim@hospital.example"]}}
    assert role_of(secrets, email="\u212aim@hospital.example", email_verified=True) is None  # the Kelvin sign


@pytest.mark.parametrize("said", [None, False, 0, 1, "true", "yes", {}])
def test_an_address_that_is_not_called_verified_gives_no_role(said: object) -> None:
    claims = {"email": ANNA, "sub": "4712"} | ({} if said is None else {"email_verified": said})
    assert RoleList.from_secrets(SECRETS).person(claims) == Person("sub:4712", None)
    trusting = RoleList.from_secrets(SECRETS | {"access": {"allow_unverified_addresses": True}})
    assert trusting.person(claims) == Person(ANNA, "reader")


def test_an_identifier_is_never_shown_as_an_address() -> None:
    assert RoleList.from_secrets(SECRETS).person({"sub": ANNA}) == Person(f"sub:{ANNA}", None)
    assert RoleList.from_secrets(SECRETS).person({}) == UNIDENTIFIED


def test_of_several_providers_an_identifier_counts_with_its_own_alone() -> None:
    secrets = ISSUERS | {"roles_by_sub": {"admin": ["https://one.example|7", "7"]}}
    assert role_of(secrets, sub="7", iss="https://one.example") == "admin"
    assert role_of(secrets, sub="7", iss="https://two.example") is None
    assert role_of(secrets, sub="7") is None
    assert role_of(secrets, sub="https://one.example|7", iss="https://two.example") is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": {"admin": ["4711"]}},
        {"roles": {"boss": [ANNA]}},
        {"roles": {"admin": ANNA}},
        {"roles": {"admin": [ANNA, 7]}},
        {"roles": [ANNA]},
        {"roles_by_sub": {"admin": [""]}},
        {"access": {"allow_unverified_addresses": "no"}},
        {"access": True},
    ],
)
def test_what_cannot_be_meant_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(AccessError) as refused:
        RoleList.from_secrets(SECRETS | wrong)
    assert refused.value.code == "access.roles"
