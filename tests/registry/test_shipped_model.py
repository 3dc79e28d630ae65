"""The models that come with the project: whole, honest, small, and what their cards say they are."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cxr.datasets.labels import LabelSpace
from cxr.evaluation.card_results import model_results
from cxr.evaluation.cases import labeled_cases
from cxr.evaluation.evaluation import evaluate
from cxr.evaluation.scores import probabilities_of, read_scores
from cxr.evaluation.shortcuts.audit_file import load_audit
from cxr.evaluation.shortcuts.verdict import verdict_on
from cxr.films.film import Film
from cxr.films.synthetic.non_xrays import draw_non_xray
from cxr.films.synthetic.phantom import FINDINGS, draw_phantom
from cxr.inference.loading import load_classifier
from cxr.registry import default_model, registry
from cxr.registry.card import SHORTCUTS, Statement, model_files
from cxr.registry.recipe import Recipe
from cxr.registry.results import MetricInterval

PROJECT = Path(__file__).parents[2]
CLASSES = {
    "vgg16-hospitals": ("normal", "bacterial", "viral", "covid19", "tuberculosis"),
    "vgg16-broad": ("normal", "bacterial", "viral", "covid19"),
}
MAX_BYTES = 32_000_000  # of each
ALIKE = 0.03  # of a probability, between machines whose bfloat16 rounds in another order


@pytest.fixture(params=CLASSES)
def shipped(request, monkeypatch):
    """The card of a model in the registry that comes with the project."""
    monkeypatch.setenv("CXR_HOME", str(PROJECT))
    return registry.get_card(request.param)


def film_of(pixels):
    return Film(pixels=np.ascontiguousarray(pixels), format="PNG", bits=8)


def test_a_fresh_clone_holds_each_model_whole_and_nothing_more(monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(PROJECT))
    listed = subprocess.run(["git", "ls-files", "models"], cwd=PROJECT, capture_output=True, text=True, check=True)
    tracked = {Path(line) for line in listed.stdout.splitlines()}
    if not tracked:
        pytest.skip("this is no clone")
    assert tuple(CLASSES) == default_model.SHIPPED
    wanted = {Path("models/README.md")}
    for name in CLASSES:
        files = {Path("models", name, file) for file in (*model_files(registry.get_card(name)), SHORTCUTS)}
        assert sum((PROJECT / path).stat().st_size for path in files) < MAX_BYTES
        wanted |= files
    assert tracked == wanted


def test_a_registry_that_holds_them_alone_has_the_better_one_as_the_default(tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    for name in CLASSES:
        (tmp_path / "models" / name).symlink_to(PROJECT / "models" / name)
    monkeypatch.setenv("CXR_HOME", str(tmp_path))
    assert default_model.default_name() == default_model.SHIPPED[0]


def test_its_card_has_a_statement_threshold_band_and_input_check(shipped):
    statement = shipped.statement
    assert statement is not None
    assert statement.test_looks >= 1
    for text in (
        statement.intended_use,
        statement.not_for,
        statement.data,
        statement.split,
        statement.training,
        statement.failures,
    ):
        assert len(text) > 100
    assert shipped.classes == CLASSES[shipped.name]
    assert shipped.groups["pneumonia"] == ("bacterial", "viral", "covid19")
    assert shipped.threshold is not None
    assert shipped.unsure is not None
    assert shipped.gate is not None


def test_no_file_of_it_names_a_folder_of_the_machine_that_made_it(shipped):
    for file in ("card.json", "recipe.toml", "evaluation.csv", SHORTCUTS):
        text = (PROJECT / "models" / shipped.name / file).read_text("utf-8")
        assert not re.search(r"(^|[\s\",=])/[a-z]+/", text), file


def test_its_statement_is_that_of_the_documents(shipped):
    assert shipped.statement == Statement.read(PROJECT / "docs" / "shipped-models" / f"{shipped.name}.toml")


def test_its_results_by_source_and_their_intervals_are_of_this_version(shipped):
    labels = LabelSpace(shipped.classes, shipped.groups)
    found = model_results(
        read_scores(registry.evaluation_path(shipped.name)), labels, shipped.threshold, shipped.unsure
    )
    for role, stored in shipped.results.by_role.items():
        now = found.by_role[role]
        assert numbers(stored.intervals) == pytest.approx(numbers(now.intervals), abs=1e-3, nan_ok=True)
        for column, part in now.groups.items():
            assert stored.groups[column].compared == part.compared
            for before, group in zip(stored.groups[column].groups, part.groups, strict=True):
                assert before.name == group.name
                assert group.calibration_bias is not None
                assert numbers(dict(before)) == pytest.approx(numbers(dict(group)), abs=1e-3, nan_ok=True)


def numbers(metrics):
    """The value and the bounds of each metric."""
    intervals = {name: metric for name, metric in metrics.items() if isinstance(metric, MetricInterval)}
    return {
        (name, part): np.nan if value is None else value for name, metric in intervals.items() for part, value in metric
    }


def test_the_results_on_its_card_are_those_of_its_stored_scores(shipped):
    scores = read_scores(registry.evaluation_path(shipped.name))
    labels = LabelSpace(shipped.classes, shipped.groups)
    for role in ("val", "test"):
        found = evaluate(labeled_cases(scores[scores["role"] == role], labels, shipped.threshold))
        stored = shipped.results.by_role[role]
        assert found.n == stored.n
        assert found.binary is not None
        assert found.accuracy == pytest.approx(stored.accuracy, abs=1e-9)
        assert found.binary.auc == pytest.approx(stored.binary.auc, abs=1e-9)


def test_the_verdict_of_its_audit_is_of_this_version_and_follows_from_what_was_measured(shipped):
    audit = load_audit(shipped)
    assert audit is not None
    assert len(audit.measurements.sources) >= 3
    assert audit.verdict == verdict_on(audit.measurements)


def test_it_reads_a_synthetic_film_and_rejects_what_is_none(shipped):
    classifier = load_classifier(shipped.name)
    assert set(classifier.groups) == {"pneumonia", *(["any finding"] if "other" in shipped.groups else [])}
    for seed, finding in enumerate(FINDINGS):
        prediction = classifier.read(film_of(draw_phantom(finding, seed, 512).pixels))
        assert prediction.probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert prediction.peaks.max() > 0
    odd = [classifier.read(film_of(draw_non_xray(1_000_000 + n, 256))).input_check for n in range(8)]
    assert sum(result is not None and result.rejected for result in odd) >= 7


def test_it_reads_real_films_as_it_did_when_it_was_evaluated(shipped, films):
    scores = read_scores(registry.evaluation_path(shipped.name))
    of_kermany = scores[(scores["dataset"] == "kermany") & (scores["role"] == "test")].iloc[::26]
    classifier = load_classifier(shipped.name)
    read = [Film.read(films / "kermany" / path) for path in of_kermany["path"]]
    found = np.stack([prediction.probabilities for prediction in classifier.read_many(read)])
    np.testing.assert_allclose(found, probabilities_of(of_kermany, classifier.classes), atol=ALIKE)


def test_every_file_of_it_is_verified(shipped):
    from cxr.registry.verification import load_verified

    model = load_verified(shipped.name)
    assert model.card == shipped
    assert sum(array.size for array in model.arrays.values()) > 14_000_000
    assert model.input_check is not None


def test_it_can_be_trained_on_without_weights_of_imagenet(shipped, monkeypatch, tmp_path):
    from cxr.learning.network import build
    from cxr.learning.starting_weights import load_starting_weights
    from cxr.registry.weights_file import arrays_of, load_arrays

    monkeypatch.setenv("CXR_WEIGHTS", str(tmp_path))
    recipe = Recipe.read("vgg16-default", [f"trunk.weights=shelf:{shipped.name}"])
    network = build(recipe, 2)
    assert load_starting_weights(network.model, recipe) == f"model {shipped.name}"
    kernel = arrays_of(network.model.weights)["block5_conv3/kernel"]
    np.testing.assert_array_equal(
        kernel, load_arrays(PROJECT / "models" / shipped.name / "weights.npz")["block5_conv3/kernel"]
    )
