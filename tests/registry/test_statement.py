"""The makers' statement on a model's card."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.core.errors import RegistryError
from cxr.registry import registry
from cxr.registry.card import Statement
from tests.support.small_models import StoreModel

SECTIONS = ("intended_use", "not_for", "data", "split", "training", "failures")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "statement.toml"
    path.write_text("\n".join(f'{section} = "{section} in words"' for section in SECTIONS) + "\ntest_looks = 2\n")
    return path


def test_a_statement_is_put_on_the_card_and_nothing_else_changes(stored: StoreModel, path: Path) -> None:
    before, statement = stored(), Statement.read(path)
    assert (statement.intended_use, statement.test_looks) == ("intended_use in words", 2)
    after = registry.set_statement("tiny", statement)
    assert after == registry.get_card("tiny") == before.model_copy(update={"statement": statement})


@pytest.mark.parametrize("text", [b"", b"intended_use = 3", b"no toml", b"\xff", b"test_looks = 0", None])
def test_a_file_that_holds_no_statement_is_refused(tmp_path: Path, text: bytes | None) -> None:
    if text is not None:
        (tmp_path / "statement.toml").write_bytes(text)
    with pytest.raises(RegistryError, match=r"statement\.toml") as raised:
        Statement.read(tmp_path / "statement.toml")
    assert raised.value.code == "registry.statement"
