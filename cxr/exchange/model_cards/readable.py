"""A model card as Markdown for people, and with the metadata of Hugging Face as a folder to be uploaded as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cxr import DISCLAIMER
from cxr.core.atomic_files import atomic_path
from cxr.datasets.labels import display_name
from cxr.exchange.model_cards.checklists import BY_THE_AUTHORS
from cxr.exchange.model_cards.facts import ModelFacts
from cxr.exchange.model_formats import export_format
from cxr.presentation.reading_summary import shortcut_line
from cxr.registry.results import EvaluationResults

_SECTIONS = (
    ("Intended use", "intended_use"),
    ("Out-of-scope use", "not_for"),
    ("Data", "data_sources"),
    ("Data split", "split"),
    ("X-rays", "partition_counts"),
    ("Ages", "ages"),
    ("Model", "model"),
    ("Input", "preprocessing"),
    ("Output", "output"),
    ("Training", "training"),
    ("Settings of the training", "training_settings"),
    ("Performance", "performance"),
    ("Diagnostic performance", "diagnostic_performance"),
    ("Subgroups", "subgroup_results"),
    ("Calibration", "calibration"),
    ("Input check", "input_check"),
    ("Known failures", "failures"),
    ("Limitations", "limitations"),
    ("Software", "software"),
)
_USE = """```python
import json
import keras
import numpy as np
from PIL import Image

model = keras.saving.load_model("model.keras")
config = json.load(open("config.json"))
side = config["size_px"]
image = Image.open("xray.png").convert("L").resize((side, side), Image.Resampling.BILINEAR)
probabilities = model.predict(np.asarray(image, "float32")[None, ..., None])[0]
print(dict(zip(config["classes"], probabilities.tolist())))
```"""


def markdown_card(facts: ModelFacts) -> str:
    """The card as Markdown; what the software does not know is marked."""
    card = facts.card
    lines = [f"# {card.name}", "", f"**{DISCLAIMER}**", "", f"Version {card.version}, {card.created[:10]}.", ""]
    for title, key in _SECTIONS:
        if text := facts.answers.get(key, "") or _for_the_authors(key):
            lines += [f"## {title}", "", _paragraph(text), ""]
    lines += ["## Shortcuts", "", _paragraph(shortcut_line(card)), ""]
    if facts.audit is not None:
        lines += [*(f"- {_paragraph(reason)}" for reason in facts.audit.verdict.reasons), ""]
    return "\n".join(lines)


def hugging_face_card(facts: ModelFacts) -> str:
    """The card as a README with the metadata that Hugging Face reads."""
    card = facts.card
    metadata: dict[str, Any] = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "license": "other",
        "license_name": "to-be-filled-in-by-the-authors",
        "tags": ["chest-x-ray", "radiology", "medical-imaging", "research", facts.recipe.trunk.backbone],
    }
    if card.results.test is not None:
        metadata["model-index"] = [{"name": card.name, "results": [_index(card.results.test)]}]
    front = "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in metadata.items())
    return f"---\n{front}\n---\n\n{markdown_card(facts)}\n## How to use it\n\n{_USE}\n"


def write_hugging_face_folder(facts: ModelFacts, folder: Path) -> list[Path]:
    """The files of the folder, written: the README, the model for plain Keras, and what its numbers mean."""
    card = facts.card
    exported = export_format(card.name, "keras")
    config = {
        "classes": list(card.classes),
        "names": [display_name(name) for name in card.classes],
        "size_px": card.size_px,
        "threshold": card.threshold,
        "indeterminate": card.unsure,
        "version": card.version,
        "note": DISCLAIMER,
    }
    contents = {
        "README.md": hugging_face_card(facts).encode(),
        "model.keras": exported.data,
        "config.json": (json.dumps(config, indent=2) + "\n").encode(),
        "card.json": card.to_json().encode(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        with atomic_path(folder / name) as partial:
            partial.write_bytes(data)
    return [folder / name for name in contents]


def _index(test: EvaluationResults) -> dict[str, Any]:
    """The test results as Hugging Face lists them."""
    values = {"accuracy": test.accuracy, "f1": test.macro_f1}
    if test.binary is not None:
        values |= {"roc_auc": test.binary.auc, "sensitivity": test.binary.sensitivity}
        values |= {"specificity": test.binary.specificity}
    return {
        "task": {"type": "image-classification"},
        "dataset": {"type": "chest-x-rays", "name": f"{test.n} held-out test X-rays of the training's sources"},
        "metrics": [{"type": kind, "value": value} for kind, value in values.items() if value is not None],
    }


def _for_the_authors(key: str) -> str:
    return BY_THE_AUTHORS if key in ("intended_use", "not_for", "data_sources") else ""


def _paragraph(text: str) -> str:
    """Text without Markdown of its own."""
    return "".join(f"\\{sign}" if sign in "\\`*_{}[]<>#!$~|" else sign for sign in " ".join(text.split()))
