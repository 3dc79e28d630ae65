"""Exported models that were each changed in one place: refused in a sentence, or imported and then harmless.

Each change is one of those that version 0.1 imported or refused by chance; some of them broke a page for everybody.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cxr.core.errors import CxrError, RegistryError
from cxr.evaluation.comparison import ModelScores, compare_scores
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.stored_evaluations import held_out_scores
from cxr.presentation import model_card, model_limitations, reading_summary
from cxr.registry import package, registry
from cxr.registry.card import CARD, EVALUATION, INPUT_CHECK, INT8, MEMBERS, OPTIONAL, RECIPE, SHORTCUTS, WEIGHTS, Card
from cxr.registry.recipe import Recipe
from tests.support.small_models import random_arrays, random_input_check

Members = dict[str, bytes]
Change = Callable[[Members], Members]
CommandLine = Callable[..., tuple[int, str, str]]
EXPORTED_BY_0_1 = Path(__file__).parents[1] / "data" / "first-0.1.zip"  # a model of a few filters and four classes
DIGESTS = {WEIGHTS: "weights_sha256", INPUT_CHECK: "gate_sha256"}  # that a card of version 0.1 has


@pytest.fixture(scope="module")
def exported() -> Members:
    with zipfile.ZipFile(EXPORTED_BY_0_1) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def imported(home: Path) -> Card:
    """A sound model beside which each malformed one is imported."""
    return package.import_model(EXPORTED_BY_0_1, "sound")


def packed(members: Members) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    file.seek(0)
    return file


def card(**facts: Any) -> Change:
    return lambda members: members | {CARD: json.dumps(json.loads(members[CARD]) | facts).encode()}


def test_results(change: Callable[[dict[str, Any]], Any]) -> Change:
    """The change of the results on test films."""

    def apply(members: Members) -> Members:
        results = json.loads(members[CARD])["results"]
        return card(results=results | {"test": change(results["test"])})(members)

    return apply


test_results.__test__ = False  # type: ignore[attr-defined]  # no test by itself


def result(**values: Any) -> Change:
    return test_results(lambda test: test | values)


def binary(change: Callable[[dict[str, Any]], Any]) -> Change:
    return test_results(lambda test: test | {"binary": change(test["binary"])})


def recipe(old: str, new: str, **facts: Any) -> Change:
    def apply(members: Members) -> Members:
        text = members[RECIPE].decode()
        assert old in text
        return card(**facts)(members) | {RECIPE: text.replace(old, new).encode()}

    return apply


def member(name: str, data: bytes) -> Change:
    """Another file, and a card that has its digest where it has one."""
    digest = hashlib.sha256(data).hexdigest()
    facts = {DIGESTS[name]: digest} if name in DIGESTS else {}
    if name == WEIGHTS:
        facts["version"] = digest[:12]
    return lambda members: card(**facts)(members) | {name: data}


def arrays(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Change:
    def apply(members: Members) -> Members:
        with np.load(io.BytesIO(members[name])) as file:
            changed = change(dict(file))
        buffer = io.BytesIO()
        np.savez(buffer, **changed)
        return member(name, buffer.getvalue())(members)

    return apply


def evaluation(change: Callable[[str], str]) -> Change:
    return lambda members: (
        members | {EVALUATION: change(members[EVALUATION].decode()).encode("utf-8", "surrogateescape")}
    )


def columns(rename: Callable[[str], str]) -> Callable[[str], str]:
    """A table whose header is another."""

    def apply(text: str) -> str:
        header, _, rows = text.partition("\n")
        return ",".join(rename(name) for name in header.split(",")) + "\n" + rows

    return apply


def last_cell(value: str) -> Callable[[str], str]:
    """A table whose last row ends with this probability."""
    return lambda text: text.rstrip("\n").rpartition(",")[0] + f",{value}\n"


def renamed_array(name: str, change: Callable[[Any], Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda arrays: arrays | {name: change(arrays[name])}


def with_value(value: float) -> Callable[[Any], Any]:
    def apply(array: Any) -> Any:
        changed = np.array(array)
        changed.flat[0] = value
        return changed

    return apply


NESTED = b"[" * 100_000
CHANGES: dict[str, Change] = {
    "results empty": card(results={}),
    "results.test empty dict": test_results(lambda test: {}),
    "results.test only n": test_results(lambda test: {"n": test["n"]}),
    "results.test is list": test_results(lambda test: []),
    "results.test is list nonempty": test_results(lambda test: [1]),
    "results.test is text": test_results(lambda test: "good"),
    "results.test is null": test_results(lambda test: None),
    "results.test.binary = {}": binary(lambda values: {}),
    "results.test.binary = text": binary(lambda values: "good"),
    "results.test.binary.sensitivity = text": binary(lambda values: values | {"sensitivity": "high"}),
    "results.test.binary without n": binary(lambda values: {key: v for key, v in values.items() if key != "n"}),
    "results.test.n = text": result(n="many"),
    "results.test.accuracy = null": result(accuracy=None),
    "results.test.auc = list": result(auc=[0.5]),
    "results.test.groups = 7": result(groups=7),
    "results.test.groups = {source: {}}": result(groups={"source": {}}),
    "results.test.intervals = 7": result(intervals=7),
    "results.test NaN": result(accuracy=float("nan")),
    "results.val empty": lambda members: card(results=json.loads(members[CARD])["results"] | {"val": {}})(members),
    "films empty, sources empty": card(films={}, sources={}),
    "films negative": card(films={"test": {"normal": -4}}),
    "films role odd": card(films={"elsewhere": {"normal": 4}}),
    "created empty": card(created=""),
    "created odd": card(created="yesterday"),
    "duration 1e308": card(duration_s=1e308),
    "seed huge": card(seed=10**30),
    "history odd": card(history=[{"epoch": "one"}]),
    "history without its columns": card(history=[{}]),
    "history val null": card(
        history=[{"epoch": 1, "loss": 1, "accuracy": 0.5, "val_loss": None, "val_accuracy": None, "val_auc": None}]
    ),
    "unsure odd": card(unsure=["a", "b"]),
    "unsure out of range": card(unsure=[-3, 7]),
    "threshold null": card(threshold=None),
    "temperature 1e-300": card(temperature=1e-300),
    "groups odd": card(groups={"pneumonia": 7}),
    "ages odd": card(ages={"youngest": "child"}),
    "gate record odd": card(gate={"films": "all"}),
    "gate record null with gate file": card(gate=None),
    "zca_rank 10**9": card(zca_rank=10**9),
    "size_px 100000 both": recipe("size_px = 32", "size_px = 100000", size_px=100_000),
    "size_px 1024 both": recipe("size_px = 32", "size_px = 1024", size_px=1024),
    "recipe vgg16": recipe('backbone = "tiny"', 'backbone = "vgg16"'),
    "recipe resnet50": recipe('backbone = "tiny"', 'backbone = "resnet50"'),
    "recipe dense 1e9": recipe("dense = []", "dense = [1000000000]"),
    "recipe dense negative": recipe("dense = []", "dense = [-4]"),
    "recipe weights path": recipe('\nweights = "none"', '\nweights = "/etc/passwd"'),
    "recipe about html": recipe('about = ""', 'about = "<script>alert(1)</script>"'),
    "eval empty": evaluation(lambda text: ""),
    "eval other columns": evaluation(columns(lambda name: f"x{name}")),
    "eval no p columns": evaluation(columns(lambda name: name.removeprefix("p_"))),
    "eval p text": evaluation(last_cell("high")),
    "eval p 7": evaluation(last_cell("7")),
    "eval not utf-8": evaluation(lambda text: text + "\udcff\udcfe"),
    "eval NUL": evaluation(lambda text: text + "\0"),
    "eval long cell": evaluation(lambda text: text + "x" * 1_000_000 + "\n"),
    "gate other features": lambda members: member(INPUT_CHECK, saved(random_input_check(12)[0].arrays()))(members),
    "gate empty": member(INPUT_CHECK, b""),
    "gate NaN": arrays(INPUT_CHECK, renamed_array("limits", with_value(np.nan))),
    "gate object": arrays(INPUT_CHECK, renamed_array("kinds", lambda array: np.array([print], object))),
    "weights NaN": arrays(WEIGHTS, renamed_array("logits/bias", with_value(np.nan))),
    "weights int": arrays(WEIGHTS, renamed_array("logits/bias", lambda array: array.astype(int))),
    "weights object": arrays(WEIGHTS, renamed_array("logits/bias", lambda array: np.array([print], object))),
    "weights extra": arrays(WEIGHTS, lambda arrays: arrays | {"extra/kernel": np.zeros((3, 3), np.float32)}),
    "shortcuts garbage": member(SHORTCUTS, b"\xff\x00garbage"),
    "shortcuts deep": member(SHORTCUTS, NESTED),
    "card deep": member(CARD, b'{"results": ' + NESTED),
    "recipe deep": member(RECIPE, b"a = " + NESTED),
    "extra member": lambda members: members | {"notes.txt": b"hello"},
    "software odd": card(software={"keras": {"version": 3}}),
    "classes 2000 long": card(classes=["x" * 2000, "normal", "viral", "covid19"]),
    "classes 2000": card(classes=[f"class-{number}" for number in range(2000)]),
    "classes with newline": card(classes=["nor\nmal", "bacterial", "viral", "covid19"]),
}
# Sound enough to be imported; everything that shows them must bear them.
IMPORTED = {
    "results empty",
    "results.test is null",
    "results.test.accuracy = null",
    "films empty, sources empty",
    "history val null",
    "threshold null",
    "recipe weights path",
    "recipe about html",
    "shortcuts garbage",
    "shortcuts deep",
}


def saved(arrays: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def test_every_recorded_change_is_there() -> None:
    recorded = [line for line in CHANGES if line not in ("history without its columns", "classes 2000")]
    assert len(recorded) == 69


@pytest.mark.parametrize("change", [name for name in CHANGES if name not in IMPORTED])
def test_a_malformed_model_is_refused_with_a_code_and_a_sentence(
    change: str, exported: Members, imported: Card, home: Path
) -> None:
    with pytest.raises(RegistryError) as raised:
        package.import_model(packed(CHANGES[change](exported)), "guest")
    assert raised.value.code.startswith("registry.")
    assert str(raised.value).endswith(".")
    assert registry.names() == ["sound"]
    assert sorted(path.name for path in (home / "models").iterdir() if path.is_dir()) == ["sound"]


def shown(model: Card) -> Iterator[object]:
    """All that pages and commands show of a model."""
    stored = registry.get_recipe(model.name)
    yield model_card.models_table([model], None)
    yield model_card.overview_table(model, stored)
    yield model_card.training_data_table(model)
    yield model_card.performance_table(model)
    yield model_card.subgroup_tables(model)
    yield model_card.statement_sections(model)
    yield model_limitations.limitations(model)
    yield model_limitations.promotion_warning(model)
    yield reading_summary.held_out_performance(model)
    yield reading_summary.limits(model)
    yield reading_summary.trained_on(model)
    yield load_audit(model)


def assert_commands_run(cxr: CommandLine, *lines: str) -> None:
    for line in lines:
        code, _, errors = cxr(*line.split())
        assert code == 0, f"{line}: {errors}"


@pytest.mark.parametrize("change", sorted(IMPORTED))
def test_a_model_with_a_harmless_change_is_shown_compared_and_listed(
    change: str, exported: Members, imported: Card, cxr: CommandLine
) -> None:
    guest = package.import_model(packed(CHANGES[change](exported)), "guest")
    assert registry.list_models().damaged == {}
    assert len(list(shown(guest))) == 12
    first, second = (ModelScores.from_card(model, held_out_scores(model)) for model in (guest, imported))
    with suppress(CxrError):  # where the two share no X-rays
        compare_scores(first, second)
    assert_commands_run(cxr, "models show guest", "models show guest --json", "models list", "models list --json")


STORED_CHANGES = [
    name
    for name, change in CHANGES.items()
    if name not in IMPORTED and name.startswith(("results", "films", "history"))
]


@pytest.mark.parametrize("change", STORED_CHANGES)
def test_a_malformed_card_that_is_already_stored_counts_as_damaged_and_breaks_no_list(
    change: str, exported: Members, imported: Card, home: Path, cxr: CommandLine
) -> None:
    package.import_model(EXPORTED_BY_0_1, "guest")
    malformed = json.loads(CHANGES[change](exported)[CARD]) | {"name": "guest"}
    (home / "models" / "guest" / CARD).write_text(json.dumps(malformed))
    listing = registry.list_models()
    assert [model.name for model in listing.cards] == ["sound"]
    assert listing.damaged["guest"].endswith(".")
    assert_commands_run(cxr, "models list", "models list --json")
    assert cxr("models", "show", "guest")[0] == RegistryError.exit_code


def test_a_model_of_version_0_1_is_imported_as_it_is(imported: Card, exported: Members) -> None:
    before = json.loads(exported[CARD])
    after = imported.model_dump(mode="json")
    assert {key: value for key, value in after.items() if key in before} == before | {"name": "sound", "format": 2}
    assert set(exported) == {*MEMBERS, *OPTIONAL} - {INT8}  # which came later
    assert Recipe.from_toml(exported[RECIPE].decode()) == registry.get_recipe("sound")
    assert set(random_arrays(registry.get_recipe("sound"), 4)) > {"logits/bias"}
