"""`cxr audit` and `cxr phantom`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Answer, Cxr
from tests.support.files import rows_of

SMALL = ("--films", 8, "--size", 32)


def test_an_audit_is_printed_and_given_as_json(phantoms: Path, others: Path, answer: Answer, cxr: Cxr) -> None:
    assert answer("audit", others / "placed", others / "loose")["films"] == 28
    code, out, _ = cxr("audit", phantoms)
    assert code == 0
    assert out.startswith("160 X-rays from 120 patients: ")


@pytest.mark.parametrize("option", ["--shortcut", "--plant"], ids=["present name", "name in version 0.1"])
def test_a_shortcut_is_added_to_the_x_rays_with_a_finding(tmp_path: Path, cxr: Cxr, option: str) -> None:
    assert cxr("phantom", tmp_path / "without", *SMALL)[0] == 0
    assert cxr("phantom", tmp_path / "with", *SMALL, option, "border")[0] == 0
    normal, viral = (f"images/phantom-0000{n}.png" for n in (0, 2))
    assert (tmp_path / "without" / normal).read_bytes() == (tmp_path / "with" / normal).read_bytes()
    assert (tmp_path / "without" / viral).read_bytes() != (tmp_path / "with" / viral).read_bytes()
    assert cxr("phantom", tmp_path / "other", option, "ivy")[0] == 2


def test_a_generated_dataset_is_given_as_json(tmp_path: Path, answer: Answer) -> None:
    assert answer("phantom", tmp_path / "films", *SMALL) == {"dataset": str(tmp_path / "films"), "films": 8}


def test_a_dataset_is_generated_in_a_new_folder_only(tmp_path: Path, cxr: Cxr) -> None:
    assert cxr("phantom", tmp_path / "films", *SMALL)[0] == 0
    assert len(rows_of(tmp_path / "films")) == 8
    assert cxr("phantom", tmp_path / "films", *SMALL)[0] == 4
