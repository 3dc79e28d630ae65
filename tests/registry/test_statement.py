"""What the makers of a model say of it, on its card."""

import numpy as np
import pytest

from cxr.core.errors import RegistryError
from cxr.registry import registry
from cxr.registry.card import Statement

WORDS = ("intended_use", "not_for", "data", "split", "training", "failures")


@pytest.fixture
def statement(tmp_path):
    path = tmp_path / "statement.toml"
    path.write_text("\n".join(f'{word} = "{word} in words"' for word in WORDS) + "\ntest_looks = 2\n")
    return path


def test_a_statement_goes_onto_the_card_and_nothing_else_changes(home, draft, tiny_recipe, statement):
    arrays = {"logits/bias": np.zeros(3, np.float32)}
    before = registry.store(registry.NewModel(draft("tiny"), tiny_recipe(), arrays, "path,label\n"))
    said = Statement.read(statement)
    assert (said.intended_use, said.test_looks) == ("intended_use in words", 2)
    assert (
        registry.set_statement("tiny", said)
        == registry.get_card("tiny")
        == before.model_copy(update={"statement": said})
    )


@pytest.mark.parametrize("text", [b"", b"intended_use = 3", b"no toml", b"\xff", b"test_looks = 0"])
def test_a_statement_that_does_not_hold_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "said.toml").write_bytes(text)
    with pytest.raises(RegistryError, match="said.toml"):
        Statement.read(tmp_path / "said.toml")


def test_a_statement_that_is_not_there_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(RegistryError, match="said.toml cannot be read"):
        Statement.read(tmp_path / "said.toml")
