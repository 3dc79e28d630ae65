"""Who has which role: the administrator's lists of e-mail addresses and of identifiers, held against a sign-in.

An OpenID Connect provider signs claims about a person. Two of them name one: `email`, which the person may have chosen,
and `sub`, which the provider gave. They are listed apart, so that nobody gets the role of another person's address by
an identifier that is spelled like it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxr.core.access import ROLES, UNIDENTIFIED, Person
from cxr.core.errors import AccessError

BY_ADDRESS, BY_SUBJECT, SETTINGS, UNVERIFIED = "roles", "roles_by_sub", "access", "allow_unverified_addresses"
SUBJECT_PREFIX = "sub:"  # before an identifier that stands for a person, so that it is never taken for an address
_TO_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True)
class RoleList:
    """Each listed person's highest role, by e-mail address and by the provider's identifier."""

    addresses: Mapping[str, str]
    subjects: Mapping[str, str]
    several_providers: bool = False  # then an identifier counts with its provider alone: "ISSUER|SUB"
    unverified: bool = False  # whether an address counts that the provider does not call verified

    @classmethod
    def from_secrets(cls, secrets: Mapping[str, Any]) -> RoleList:
        """The role list in the sections of secrets.toml; AccessError where a part of it cannot be meant."""
        addresses, subjects = _entries(secrets, BY_ADDRESS), _entries(secrets, BY_SUBJECT)
        if not all("@" in entry for entry, _ in addresses):
            raise _mistake(f"[{BY_ADDRESS}] has an entry without @", f"Put identifiers (sub) under [{BY_SUBJECT}]")
        unverified = _section(secrets, SETTINGS).get(UNVERIFIED, False)
        if not isinstance(unverified, bool):
            raise _mistake(f"[{SETTINGS}] {UNVERIFIED} is neither true nor false", "")
        auth = _section(secrets, "auth")
        providers = [part for part in (auth, *auth.values()) if isinstance(part, Mapping) and "client_id" in part]
        return cls(
            {ascii_lower(address): role for address, role in addresses},
            dict(subjects),
            several_providers=len(providers) > 1,
            unverified=unverified,
        )

    def person(self, claims: Mapping[str, Any]) -> Person:
        """The person of these claims, with the highest role that address and identifier have."""
        address, subject = _text(claims, "email"), _text(claims, "sub")
        if not (self.unverified or claims.get("email_verified") is True):
            address = ""
        if not (address or subject):
            return UNIDENTIFIED
        identifier = f"{_text(claims, 'iss')}|{subject}" if self.several_providers else subject
        held = {self.addresses.get(ascii_lower(address)), self.subjects.get(identifier) if subject else None}
        highest = [role for role in ROLES if role in held]
        return Person(address or SUBJECT_PREFIX + subject, highest[-1] if highest else None)


def ascii_lower(address: str) -> str:
    """The address with A to Z in lower case; any other letter is a letter of its own."""
    return address.translate(_TO_LOWER)


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _section(secrets: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = secrets.get(name, {})
    if not isinstance(section, Mapping):
        raise _mistake(f"{name} is no section", f"Write [{name}]")
    return section


def _entries(secrets: Mapping[str, Any], name: str) -> list[tuple[str, str]]:
    """The entries of a section with their roles, lowest role first."""
    section = _section(secrets, name)
    if set(section) - set(ROLES):
        raise _mistake(f"[{name}] has a name that is no role", f"Roles are {', '.join(ROLES)}")
    for role, entries in section.items():
        if not isinstance(entries, list) or not all(isinstance(entry, str) and entry for entry in entries):
            raise _mistake(f"[{name}] {role} is not a list of texts", "")
    return [(entry, role) for role in ROLES for entry in section.get(role, ())]


def _mistake(what: str, hint: str) -> AccessError:
    return AccessError(
        f"secrets.toml: {what}, so nobody can sign in. {hint or 'Correct it'}: docs/access.md.", code="roles"
    )
