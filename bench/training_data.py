"""Prepares the folders that vgg16-hospitals is trained on, where they differ from the collection as it is.

    python bench/training_data.py DATA OUT

DATA is the folder of all datasets, OUT a new folder. Two datasets are copied there with a changed manifest; the others
are used as they are. In `nih-adult`, the X-rays that radiologists read as normal (second-reading.csv) are normal
whatever their report said. In `nih-adult` and `covid-chestxray`, the patients of the X-rays in examples/ are test
patients, so that no example takes part in a training or a choice; those of `kermany` are in its official test set.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(PROJECT := Path(__file__).parents[1]))

import pandas as pd  # noqa: E402

from cxr.core.csv_files import frame_csv  # noqa: E402

EXAMPLES = PROJECT / "examples" / "manifest.csv"
CHANGED = ("nih-adult", "covid-chestxray")
DIGEST = 16  # the characters of a film's id


def main() -> None:
    """Write both datasets and say what was changed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    examples = set(read(EXAMPLES)["digest"])
    for name in CHANGED:
        shutil.copytree(options.data / name, folder := options.out / name, dirs_exist_ok=True)
        table = read(folder / "manifest.csv")
        second = folder / "second-reading.csv"
        relabeled = relabel(table, read(second)) if second.exists() else 0
        held_out = hold_out(table, folder, examples)
        (folder / "manifest.csv").write_text(frame_csv(table), "utf-8")
        print(f"{name}: {relabeled} labels changed to normal, {held_out} X-rays of example patients held out for test.")


def read(path: Path) -> pd.DataFrame:
    """A table of text."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def relabel(table: pd.DataFrame, second: pd.DataFrame) -> int:
    """The number of X-rays whose label became normal, as radiologists read them."""
    read_as_normal = set(second["path"][second["readers"] == "Normal"])
    wrong = table["path"].isin(read_as_normal) & (table["label"] != "normal")
    table.loc[wrong, "label"] = "normal"
    return int(wrong.sum())


def hold_out(table: pd.DataFrame, folder: Path, examples: set[str]) -> int:
    """The number of X-rays that went to the test split, with all X-rays of their patients."""
    digests = [hashlib.sha256((folder / path).read_bytes()).hexdigest()[:DIGEST] for path in table["path"]]
    patients = set(table["patient_id"][[digest in examples for digest in digests]]) - {""}
    chosen = table["patient_id"].isin(patients) | pd.Series(digests).isin(examples)
    table.loc[chosen, "split"] = "test"
    return int(chosen.sum())


if __name__ == "__main__":
    main()
