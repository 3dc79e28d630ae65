"""The numbers in README and docs are those of the files that scripts write.

A line of NUMBERS is a document and a sentence of it, with names in braces for the numbers. To check one more, add a
line. `python docs/measured_numbers.py` writes what differs. What the names stand for is under "Where the numbers come
from"; a file `bench/NAME.json` is `{bench[NAME]}`.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench import held_out
from cxr.core.number_format import decimal, signed_decimal, with_interval
from cxr.datasets.labels import LabelSpace
from cxr.evaluation.scores import probabilities_of, read_scores
from cxr.registry.card import Card, parse_card

PROJECT = Path(__file__).parents[1]
MODEL = PROJECT / "models" / "vgg16-broad"

README, TRUST, LOG = "README.md", "docs/trust.md", "docs/model-log.md"
SPEED, RECIPES = "docs/speed.md", "docs/recipes.md"
KERAS, TORCH = "Keras + tf-keras-vis, float32", "torch + torch-cam, bfloat16"

DESIGNS = json.loads((PROJECT / "bench" / "shortcut_designs.json").read_bytes())  # rows of a table, by name

HOSPITALS, LEFT_OUT = (
    json.loads((PROJECT / "bench" / f"{name}.json").read_bytes()) for name in ("hospitals", "leave_out")
)
SHARES = ("auc", "healthy_called_ill", "ill_called_ill")
PROTOTYPE = "leave_out][filter,_1000_steps A"  # the recipe of vgg16-hospitals without four of its sources
KNOWN = "hospitals][vgg16-hospitals"
README_ROWS = (  # what is told of a source, beside the figure of vgg16-broad
    ("healthy adults of `pakistan` called ill", "pakistan", "healthy_called_ill", PROTOTYPE),
    ("tuberculosis of `pakistan`, AUC", "pakistan", "auc", PROTOTYPE),
    ("tuberculosis of `tb-kaggle`, AUC", "tb-kaggle", "auc", PROTOTYPE),
    ("COVID-19 of `radiography`, AUC", "radiography-covid", "auc", PROTOTYPE),
    ("COVID-19 of `covid-cxnet`, AUC", "covid-cxnet", "auc", PROTOTYPE),
    ("children, pneumonia vs normal, official 624 of Kermany, AUC", "kermany", "auc", KNOWN),
    ("adults of NIH ChestX-ray14, pneumonia vs normal, AUC", "nih-chestxray14", "auc", KNOWN),
    ("healthy adults of NIH ChestX-ray14 called ill", "nih-chestxray14", "healthy_called_ill", KNOWN),
    ("healthy children called ill", "kermany", "healthy_called_ill", KNOWN),
)


def row_of(name: str, place: str, figures: Mapping[str, Any]) -> str:
    """A row of a table about a source: what is in `figures`, which lies at `place`."""
    cells = [name, f"{{{place}[healthy]}}, {{{place}[ill]}}"]
    cells += [f"{{{place}[{column}]}}" if figures[column] else "" for column in SHARES]
    cells += [f"{{{place}[{column}]:.1%}}" for column in ("withheld", "unlike") if column in figures]
    return " ".join(f"| {' | '.join(cells)} |".split())


def calibration_rows() -> list[str]:
    """The rows of the table of how vgg16-hospitals is calibrated in each source."""
    groups = json.loads((PROJECT / "models" / "vgg16-hospitals" / "card.json").read_bytes())["results"]["test"][
        "groups"
    ]
    rows = []
    for group in groups["source"]["groups"]:
        error, bias = group["binary.ece"]["value"], group["binary.calibration_bias"]
        value, low, high = (signed_decimal(bias[name]) for name in ("value", "low", "high"))
        rows.append(
            f"| {group['name']} | {group['positive']}, {group['negative']} | {error:.3f} | {value} ({low} to {high}) | "
            f"{group['binary.indeterminate']['value']:.0%} |"
        )
    return rows


NUMBERS = [
    *(
        (TRUST, row_of(source if row["known"] else f"**{source}**", f"bench[hospitals][{model}][{source}]", row))
        for model, sources in HOSPITALS.items()
        for source, row in sources.items()
    ),
    *(
        (TRUST, row_of(source, f"bench[leave_out][{experiment}][{source}]", row))
        for experiment, sources in LEFT_OUT.items()
        for source, row in sources.items()
    ),
    *(
        (
            README,
            f"| {name} | {{bench[hospitals][vgg16-broad][{source}][{column}]}} | "
            f"{{bench[{other}][{source}][{column}]}} |",
        )
        for name, source, column, other in README_ROWS
    ),
    (README, "{recipes[number]} come with the project: {recipes[own]} of its own, {recipes[published]} published"),
    (
        TRUST,
        "Dice coefficient {bench[lung_segmenter][test][mean]:.3f} on average, "
        "{bench[lung_segmenter][test][fifth percentile]:.3f} at the fifth percentile, on "
        "{bench[lung_segmenter][test][X-rays]} X-rays of {bench[lung_segmenter][test][patients]} patients that had no "
        "part in its training",
    ),
    (LOG, "({films[kermany val]} X-rays of kermany, {films[covid-chestxray val]} of covid-chestxray"),
    (LOG, "{films[nih-adult val]} of nih-adult)"),
    (LOG, "{films[nih-adult train]} normal and pneumonia X-rays of nih-adult"),
    (LOG, "{films[covid-chestxray train]} of covid-chestxray for training, compared with {films[kermany train]:,} of"),
    (
        LOG,
        "{threshold:.3f}): kermany AUC {val[children, pneumonia vs normal, AUC]:value}, accuracy "
        "{val[children, accuracy at the threshold]:value}; bacterial vs viral "
        "{val[children, bacterial vs viral, AUC]:value}; three classes {val[children, three classes, accuracy]:value}; "
        "nih-adult AUC {val[nih-adult, AUC]:value}; none of",
    ),
    (LOG, "| children, pneumonia vs normal, AUC | 624 | {test[children, pneumonia vs normal, AUC]} |"),
    (LOG, "| children, accuracy at the threshold | 624 | {test[children, accuracy at the threshold]} |"),
    (LOG, "| children, bacterial vs viral, AUC | 390 | {test[children, bacterial vs viral, AUC]} |"),
    (LOG, "| children, three classes, accuracy | 624 | {test[children, three classes, accuracy]} |"),
    (LOG, "| all, four classes, macro F1 | {films[all test]} | {test[all, four classes, macro F1]} |"),
    (LOG, "| nih-adult, AUC | {films[nih-adult test]} | {test[nih-adult, AUC]} |"),
    (LOG, "predicted as COVID-19 | {healthy[all]} | {test[nih-adult, normals predicted as covid19]} |"),
    (LOG, "ECE of pneumonia vs normal | 879 | {test[all, expected calibration error of pneumonia]:value} |"),
    (
        LOG,
        "ECE of the most probable class | 879 | "
        "{test[all, expected calibration error of the most probable class]:value} |",
    ),
    (LOG, "ECE {val[all, expected calibration error of the most probable class]:value}. As good as"),
    (LOG, "chosen on the {films[all val]} validation X-rays"),
    (TRUST, "on its {films[all test]} test X-rays (`python docs/screens.py --charts`)"),
    (
        TRUST,
        "*High* (`python -m cxr audit-model vgg16-broad --data D/kermany --data D/covid-chestxray --data D/nih-adult`, "
        "{audit[films]} X-rays of {audit[patients]} patients, {audit[test films]} of them test X-rays",
    ),
    (
        TRUST,
        "separates the classes at an AUC of {audit[heads lungs hidden]:2}, where the whole image has "
        "{audit[heads whole film]:2 value}; class and source go together (Cramér's V {audit[together]:2 value}), and "
        "the source is predicted from the features at {audit[source]:2 value}.",
    ),
    (TRUST, "covid-chestxray has {audit[outside covid-chestxray]:2} on its X-rays"),
    (
        TRUST,
        "{audit[own whole film]:2} on the whole image, {audit[own lungs only]:2 value} on the lungs only, and "
        "{audit[own lungs hidden]:2} with the lungs masked; of COVID-19 vs the rest then "
        "{audit[own lungs hidden covid19]:2 value}.",
    ),
    (TRUST, "lowers the score by {audit[deletion]:2} more than"),
    *((TRUST, row) for row in calibration_rows()),
    (SPEED, "on all its {films[all test]} test X-rays"),
    (SPEED, f"| {{speed[one film, bytes to overlay | {KERAS}].ratio}} times as fast, "),
    (SPEED, f"{{speed[one film, bytes to overlay | {KERAS}].with_openvino}} with OpenVINO | 12 with"),
    (SPEED, f"{{speed[one film, bytes to overlay | {TORCH}].with_openvino}} times as fast with OpenVINO | 2: it would"),
    (SPEED, "| {speed[trunk, 1 at once, a film | OpenVINO bfloat16].slower} times its time; "),
    (SPEED, "{speed[trunk, 1 at once | ours, share of the limit].median} for one X-ray, "),
    (SPEED, "{speed[trunk, 32 at once | ours, share of the limit].median} for 32 |"),
    (SPEED, "| {speed[frozen trunk, 20 epochs | Keras alone, float32].whole} times as fast | 100 |"),
    (SPEED, "| {speed[from block 5, an epoch | Keras alone, float32].ratio} times as fast | 8 |"),
    (SPEED, "| {speed[everything, an epoch | Keras alone, float32].ratio} times as fast | 5 with AMX |"),
    (
        SPEED,
        "| {speed[metrics of 5,000 films with 2,000 resamples | a loop over scikit-learn (20 measured)].ratio} times "
        "as fast, {speed[metrics of 5,000 films with 2,000 resamples | ours].median} |",
    ),
    (SPEED, "from bytes to overlay | {speed[one film, bytes to overlay | ours].range} |"),
    (SPEED, "features | {speed[trunk, 1 at once, a film | ours].range} |"),
]


# Where the numbers come from


class Measured:
    """A figure with its interval: `{x}` is 0.989 (0.980–0.996), `{x:2}` has two decimals, `{x:value}` no interval."""

    def __init__(self, figure: Mapping[str, float | None]) -> None:
        self.figure = figure

    def __format__(self, form: str) -> str:
        places, value = int(form[0]) if form[:1].isdigit() else 3, self.figure["value"]
        return decimal(value, places) if "value" in form else with_interval(**self.figure, places=places)


class Timing:
    """A line of bench/results.md."""

    def __init__(self, time: str, ratio: str, ours: str, openvino: str) -> None:
        self.ratio, self.median = ratio, time.split(" (")[0]
        self.whole = f"{float(ratio):.0f}" if ratio else ""
        self.range = re.sub(r"(\d+) ms to (\d+) ms", r"\1–\2", time)
        self.with_openvino = _times(time, openvino)
        self.slower = _times(ours, time)


def _times(slower: str, faster: str) -> str:
    """How many times as long the slower takes, to one decimal."""
    return f"{_seconds(slower) / _seconds(faster):.1f}" if _seconds(faster) else ""


def _seconds(time: str) -> float:
    found = re.match(r"([\d.]+) (ms|s)\b", time)
    return float(found[1]) / (1000 if found[2] == "ms" else 1) if found else 0.0


def held_out_metrics(role: str) -> dict[str, Measured]:
    """What `python bench/held_out.py --role ROLE` prints of the default model."""
    scores = read_scores(MODEL / "evaluation.csv")
    return {
        name: Measured(value.as_dict()) for name, _, value, _ in held_out.rows(scores[scores["role"] == role], card())
    }


def film_counts() -> dict[str, int]:
    """The X-rays of each dataset in each role: scored ones by the default model's scores, the others by its card."""
    scores = read_scores(MODEL / "evaluation.csv")
    counts = Counter(f"{dataset} {role}" for dataset, role in zip(scores["dataset"], scores["role"], strict=True))
    counts.update(f"all {role}" for role in scores["role"])
    scored = Counter(scores["dataset"])
    for dataset, source in zip(scores["dataset"], scores["source"], strict=True):
        counts[f"{dataset} train"] = sum(card().sources[source].values()) - scored[dataset]
    assert sum(counts[f"{dataset} train"] for dataset in scored) == sum(card().films["train"].values())
    return counts


def healthy_adults() -> dict[str, int]:
    """The healthy adults in the test set, and how many of them are predicted as each class."""
    scores = read_scores(MODEL / "evaluation.csv")
    healthy = scores[(scores["dataset"] == "nih-adult") & (scores["role"] == "test") & (scores["label"] == "normal")]
    decided = LabelSpace(card().classes, card().groups).decide(
        probabilities_of(healthy, card().classes), card().threshold
    )
    return {"all": len(healthy), "covid19": int((decided == card().classes.index("covid19")).sum())}


def audit_numbers() -> dict[str, Any]:
    """What the default model's shortcut audit measured, by the keys of its file."""
    measured = json.loads((MODEL / "shortcuts.json").read_bytes())["measured"]
    numbers = {"films": measured["films"], "patients": measured["patients"], "test films": measured["by_role"]["test"]}
    for kind in ("heads", "own", "probes"):
        for probe in measured[kind]:
            numbers[f"{kind} {probe['name']}"] = Measured(probe["auc"])
            numbers |= {f"{kind} {probe['name']} {name}": Measured(auc) for name, auc in probe["classes"].items()}
    numbers |= {f"outside {one['name']}": Measured(one["outside"]) for one in measured["sources"]}
    numbers |= {"together": Measured(measured["together"]), "source": Measured(measured["source"]["auc"])}
    return numbers | {"deletion": Measured(measured["deletion"]["between"])}


def timings() -> dict[str, Timing]:
    """The table of bench/results.md, by work and contender."""
    lines = [line.split("|")[1:5] for line in (PROJECT / "bench" / "results.md").read_text("utf-8").splitlines()[6:]]
    cells = [[cell.strip() for cell in line] for line in lines if len(line) == 4]
    times = {(work, contender): time for work, contender, time, _ in cells}
    return {
        f"{work} | {contender}": Timing(
            time, ratio, times.get((work, "ours"), ""), times.get((work, "ours, with OpenVINO"), "")
        )
        for work, contender, time, ratio in cells
    }


def recipe_numbers() -> dict[str, str]:
    """The recipes that come with the project, counted in words."""
    words = ["none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
    names = [path.stem for path in (PROJECT / "cxr" / "registry" / "recipes").glob("*.toml")]
    own = [name for name in names if name in ("vgg16-default", "vgg16-broad", "vgg16-hospitals")]
    tutorial = [name for name in names if name.startswith("resnet18")]
    published = len(names) - len(own) - len(tutorial)
    return {"number": words[len(names)].title(), "own": words[len(own)], "published": words[published]}


@cache
def card() -> Card:
    return parse_card((MODEL / "card.json").read_bytes())


SOURCES: dict[str, Callable[[], Any]] = {
    "test": lambda: held_out_metrics("test"),
    "val": lambda: held_out_metrics("val"),
    "films": film_counts,
    "healthy": healthy_adults,
    "audit": audit_numbers,
    "threshold": lambda: card().threshold,
    "recipes": recipe_numbers,
    "speed": timings,
    "bench": lambda: {path.stem: json.loads(path.read_bytes()) for path in (PROJECT / "bench").glob("*.json")},
}


# The tests


@cache
def source(name: str) -> Any:
    return SOURCES[name]()


@cache
def text_of(document: str) -> str:
    """A document's text with single spaces."""
    return " ".join((PROJECT / document).read_text("utf-8").split())


def filled(sentence: str) -> str:
    """The sentence with its numbers."""
    names = set(re.findall(r"{(\w+)", sentence))
    return sentence.format(**{name: source(name) for name in names})


@pytest.mark.parametrize(("document", "sentence"), NUMBERS)
def test_a_number_in_a_document_is_the_measured_one(document: str, sentence: str) -> None:
    expected = filled(sentence)
    pattern = ".{1,40}?".join(re.escape(part) for part in re.split(r"{[^}]*}", sentence))
    present = re.search(pattern, text_of(document))
    if expected not in text_of(document):  # else an earlier place of the same words would be compared
        assert (present[0] if present else "a sentence that is not there") == expected


def test_every_interval_in_the_readme_is_checked() -> None:
    checked = "\n".join(filled(sentence) for document, sentence in NUMBERS if document == README)
    intervals = re.findall(r"[\d.]+ \([\d.]+–[\d.]+\)", text_of(README))
    assert intervals
    assert [interval for interval in intervals if interval not in checked] == []


def test_numbers_that_differ_are_written_and_line_breaks_stay() -> None:
    from docs.measured_numbers import with_numbers

    text = (PROJECT / LOG).read_text("utf-8")
    sentence = "{films[nih-adult train]} normal and pneumonia X-rays of nih-adult"
    outdated = text.replace(filled(sentence), "1,358 normal and pneumonia\nX-rays of nih-adult")
    assert outdated != text
    updated = with_numbers(outdated, sentence)
    assert updated == outdated.replace("1,358", str(film_counts()["nih-adult train"]))
