"""`cxr models`: the registry on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from cxr.datasets.labels import display_name
from tests.support.command_line import Answer, Cxr


@pytest.mark.parametrize("command", ["input-check", "gate"], ids=["present name", "name in version 0.1"])
def test_an_input_check_is_added_to_a_model(trained: Path, phantoms: Path, answer: Answer, command: str) -> None:
    added = answer("models", command, "first", "--data", phantoms)
    assert added == {"model": "first", "gate": answer("models", "show", "first")["gate"]}
    assert added["gate"]["let_through"] <= added["gate"]["held_out"]


def test_a_card_is_shown_with_the_display_names_of_classes(trained: Path, answer: Answer, cxr: Cxr) -> None:
    code, out, _ = cxr("models", "show", "first")
    assert code == 0
    assert out.startswith("first")
    assert all(display_name(name) in out for name in answer("models", "show", "first")["classes"])
    assert "covid19" not in out


def test_an_input_check_needs_a_model(trained: Path, phantoms: Path, cxr: Cxr) -> None:
    code, _, err = cxr("models", "input-check", "absent", "--data", phantoms)
    assert code == 7
    assert "'absent'" in err


def test_models_are_promoted_rolled_back_deleted_exported_and_imported(
    trained: Path, tmp_path: Path, answer: Answer, cxr: Cxr
) -> None:
    def default() -> list[str]:
        return [model["name"] for model in answer("models", "list")["models"] if model["default"]]

    assert cxr("models", "export", "first", tmp_path / "first.zip")[0] == 0
    assert cxr("models", "import", tmp_path / "first.zip")[0] == 7  # the name is taken
    assert cxr("models", "import", tmp_path / "first.zip", "--name", "second")[0] == 0
    assert default() == ["first"]
    assert cxr("models", "promote", "second")[0] == 0
    assert default() == ["second"]
    assert cxr("models", "delete", "second")[0] == 7  # the default model
    assert cxr("models", "rollback")[0] == 0
    assert default() == ["first"]
    assert cxr("models", "rollback")[0] == 7
    assert cxr("models", "delete", "second")[0] == 0
    assert [model["name"] for model in answer("models", "list")["models"]] == ["first"]
    assert cxr("models", "promote", "second")[0] == 7
    assert cxr("models", "show", "second")[0] == 7
    assert cxr("models", "rename", "first", "prime")[0] == 0
    assert default() == ["prime"]
    assert cxr("models", "rename", "first", "other")[0] == 7


def test_each_command_is_answered_in_json(trained: Path, tmp_path: Path, answer: Answer) -> None:
    zipped, network = str(tmp_path / "first.zip"), str(tmp_path / "first.keras")
    assert answer("models", "export", "first", zipped) == {"model": "first", "file": zipped}
    assert answer("models", "export", "first", network, "--format", "keras") == {"model": "first", "file": network}
    assert Path(network).stat().st_size > 1000
    assert answer("models", "import", zipped, "--name", "second") == {"model": "second"}
    assert answer("models", "promote", "second") == {"model": "second"}
    assert answer("models", "rollback") == {"model": "first"}
    assert answer("models", "rename", "second", "third") == {"model": "third"}
    assert answer("models", "delete", "third") == {"model": "third"}


def test_without_a_model_the_list_is_empty_and_predictions_are_errors(home: Path, answer: Answer, cxr: Cxr) -> None:
    assert answer("models", "list") == {"models": [], "damaged": {}}
    assert "cxr train" in cxr("models", "list")[1]
    assert cxr("predict", "film.png")[0] == 7
    assert cxr("evaluate", "--data", "films")[0] == 7
