"""The ids of X-rays in the score table of an exported model: salted, so that they name no X-ray elsewhere.

An X-ray's id is a digest of its file, the same in every table, report and audit trail. An exported model has another
one instead: a keyed digest of the id, with a salt of its own before it. Tables of different models then share no ids,
while whoever has an X-ray can still find out whether a model was trained on it, which evaluations need.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence

SALT_BYTES = 8
ID_LENGTH = 16  # hexadecimal digits, as those of an id without a salt
_SALTED = re.compile(r"([0-9a-f]{16})-[0-9a-f]{16}")


def new_salt() -> str:
    """A random salt, in hexadecimal."""
    return secrets.token_hex(SALT_BYTES)


def salted(film_id: str, salt: str) -> str:
    """The id with this salt; an empty one, or one that has a salt already, stays as it is."""
    if not film_id or _SALTED.fullmatch(film_id):
        return film_id
    digest = hmac.new(bytes.fromhex(salt), film_id.encode(), hashlib.sha256).hexdigest()
    return f"{salt}-{digest[:ID_LENGTH]}"


def recognized(film_ids: Sequence[str], known: Iterable[str]) -> list[str]:
    """The ids, each salted one that stands for one of the `known` ids replaced by that."""
    salts = {match[1] for film_id in film_ids if (match := _SALTED.fullmatch(film_id))}
    if not salts:
        return list(film_ids)
    plain = {salted(film_id, salt): film_id for film_id in set(known) for salt in salts}
    return [plain.get(film_id, film_id) for film_id in film_ids]
