"""The audit trail: one complete line for each action, whatever else is written, and nothing that names a patient."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cxr.cli.app import main
from cxr.core.access import LOCAL, Action, Person, acting_as
from cxr.core.audit_trail import AuditEntry, append_entry, audited, read_entries
from cxr.core.errors import AccessError, CxrError, RegistryError
from cxr.core.paths import trail_dir
from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.films.film import film_id
from cxr.inference.batch import read_sources
from cxr.inference.loading import load_classifier
from cxr.inference.reader_responses import ReaderResponse, save_responses
from cxr.inference.sources import source_on_disk
from cxr.jobs import run_store
from cxr.jobs.kinds import execute
from cxr.jobs.run import Run, Status
from cxr.jobs.training_plan import plan
from cxr.registry import default_model, package, registry
from tests.support.training import tiny_recipe

PROJECT = Path(__file__).parents[2]
ANNA = Person("anna@hospital.example", "admin")


@pytest.fixture
def first_run(home: Path, phantoms: Path) -> Run:
    """The run that trained the model "first" for one epoch."""
    recipe = tiny_recipe(training={"epochs": 1})
    with acting_as(ANNA):
        run = run_store.create(plan(recipe, [str(phantoms)], "first"), recipe.name)
    execute(run)
    return run


def actions() -> list[str]:
    return [entry.action for entry in read_entries()]


def test_the_line_of_a_training_has_its_starter_and_its_model_s_version(first_run: Run) -> None:
    line = read_entries()[-1]
    assert (line.action, line.who, line.model) == (Action.TRAIN_MODEL, ANNA.name, "first")
    assert line.version == registry.get_card("first").version


def test_each_action_on_a_model_leaves_a_line(first_run: Run, tmp_path: Path) -> None:
    before = len(read_entries())
    package.import_model(package.export_model("first", tmp_path / "first.zip"), "second")
    default_model.promote("second")
    default_model.roll_back()
    registry.rename("second", "third")
    registry.delete("third")
    version = registry.get_card("first").version
    assert [(entry.action, entry.model, entry.version, entry.more, entry.who) for entry in read_entries()[before:]] == [
        (Action.EXPORT_MODEL, "first", version, "zip", "local"),
        (Action.IMPORT_MODEL, "second", version, "", "local"),
        (Action.PROMOTE_MODEL, "second", version, "", "local"),
        (Action.ROLL_BACK, "first", version, "", "local"),
        (Action.RENAME_MODEL, "second", version, "third", "local"),
        (Action.DELETE_MODEL, "third", version, "", "local"),
    ]


def test_an_action_that_fails_leaves_no_line(first_run: Run) -> None:
    before = read_entries()
    with pytest.raises(RegistryError):
        registry.delete("first")  # it is in use
    with pytest.raises(RegistryError):
        default_model.promote("nobody")
    assert read_entries() == before


def test_the_line_of_a_reading_has_the_film_s_digest_and_no_name(
    first_run: Run, phantoms: Path, tmp_path: Path
) -> None:
    film = tmp_path / "Doe^Jane-19610203.png"
    film.write_bytes(next(phantoms.rglob("*.png")).read_bytes())
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no film")
    before = len(read_entries())
    list(read_sources(load_classifier("first"), [source_on_disk(film), source_on_disk(broken)]))
    (line,) = read_entries()[before:]
    assert (line.action, line.model, line.film) == (Action.READ_FILMS, "first", film_id(film.read_bytes()))
    written = "".join(path.read_text("utf-8") for path in trail_dir().iterdir())
    assert "Doe" not in written
    assert "1961" not in written
    assert str(tmp_path) not in written


def test_the_line_of_a_reader_response_has_film_and_model_but_not_the_answer(home: Path) -> None:
    save_responses(
        ReaderResponse("f1", "first@abc", "viral", 0.9, "disagree", "a scar"),
        ReaderResponse("f2", "first@abc", "viral", 0.8, "agree"),
    )
    assert sorted((entry.action, entry.model, entry.version, entry.film, entry.more) for entry in read_entries()) == [
        (Action.SAVE_RESPONSE, "first", "abc", "f1", ""),
        (Action.SAVE_RESPONSE, "first", "abc", "f2", ""),
    ]
    assert not re.search("disagree|scar", next(trail_dir().iterdir()).read_text("utf-8"))


def test_a_reader_response_that_cannot_be_saved_leaves_no_line(home: Path) -> None:
    (home / "opinions.jsonl").mkdir(parents=True)
    with pytest.raises(CxrError):
        save_responses(ReaderResponse("f1", "first@abc", "viral", 0.9, "agree"))
    assert read_entries() == []


def test_a_dataset_audit_leaves_a_line_unless_it_comes_from_the_cache(home: Path, phantoms: Path) -> None:
    dataset = Dataset.open(phantoms)
    assert audit_or_cached(dataset) == audit_or_cached(dataset)
    assert actions() == [Action.AUDIT_DATASET]


def test_lines_about_datasets_do_not_name_them(home: Path, phantoms: Path, tmp_path: Path) -> None:
    named = tmp_path / "Doe_Jane"
    named.symlink_to(phantoms)
    catalog.add(named)
    catalog.remove(catalog.entries()[0].name)
    assert actions() == [Action.ADD_DATASET, Action.REMOVE_DATASET]
    assert not re.search("phantoms|doe", next(trail_dir().iterdir()).read_text("utf-8"), re.IGNORECASE)


def test_stopping_and_deleting_a_run_leave_lines(home: Path, phantoms: Path) -> None:
    recipe = tiny_recipe(training={"epochs": 1})
    run = run_store.create(plan(recipe, [str(phantoms)], None), recipe.name)
    run_store.stop(run)
    run.write_status(Status("stopped"))
    run_store.delete(run)
    assert [(entry.action, entry.run) for entry in read_entries()] == [
        (Action.STOP_RUN, run.id),
        (Action.DELETE_RUN, run.id),
    ]


def test_lines_that_several_processes_write_at_once_are_complete(home: Path) -> None:
    code = (
        "import sys\n"
        "from cxr.core.access import Action, Person\n"
        "from cxr.core.audit_trail import AuditEntry, append_entry\n"
        "for n in range(200):\n"
        "    entry = AuditEntry(Action.READ_FILMS, film=f'{sys.argv[1]}-{n}', more='x' * 500)\n"
        "    append_entry(entry, Person('p', 'reader'))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=PROJECT, env=os.environ | {"CXR_HOME": str(home)})
        for n in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    (path,) = trail_dir().iterdir()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert {line["film"] for line in lines} == {f"{n}-{i}" for n in range(4) for i in range(200)}
    assert len(lines) == 800


def test_a_line_that_a_full_disk_cut_off_does_not_damage_the_next_one(home: Path) -> None:
    append_entry(AuditEntry(Action.ROLL_BACK, model="first"), LOCAL)
    with next(trail_dir().iterdir()).open("a") as file:
        file.write('{"when": "2026-01-01T00:00:00", "who": "lo')
    append_entry(AuditEntry(Action.ROLL_BACK, model="second"), LOCAL)
    assert [entry.model for entry in read_entries()] == ["first", "second"]


@pytest.fixture
def unwritable(home: Path) -> None:
    """A trail that not even root can write: there is a file in the place of its folder."""
    home.mkdir()
    (home / "trail").write_text("")


def test_a_signed_in_person_s_action_is_denied_when_no_line_can_be_written(unwritable: None) -> None:
    done = False
    with (
        acting_as(ANNA),
        pytest.raises(AccessError) as denied,
        audited(Action.ROLL_BACK),
    ):
        done = True
    assert denied.value.code == "access.trail"
    assert not done


def test_the_local_person_s_action_is_done_with_a_warning_when_no_line_can_be_written(
    unwritable: None, caplog: pytest.LogCaptureFixture
) -> None:
    with audited(Action.ROLL_BACK):
        pass
    assert {(record.name, record.levelname) for record in caplog.records} == {("cxr.trail", "WARNING")}


def test_a_trail_that_is_turned_off_writes_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXR_TRAIL", "off")
    with audited(Action.ROLL_BACK):
        pass
    assert read_entries() == []
    main_ends(["trail"])
    assert "CXR_TRAIL=off" in capsys.readouterr().err


def main_ends(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code


def test_the_command_line_filters_by_action_model_and_film(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(b"some bytes")
    append_entry(AuditEntry(Action.READ_FILMS, "first", "abc", film=film_id(b"some bytes")), ANNA)
    append_entry(AuditEntry(Action.READ_FILMS, "second", "def", film="0" * 16), LOCAL)
    append_entry(AuditEntry(Action.DELETE_MODEL, "second", "def"), LOCAL)

    def shown(*words: str) -> list[tuple[str, str]]:
        main_ends(["trail", "--json", *words])
        return [(entry["who"], entry["model"]) for entry in json.loads(capsys.readouterr().out)]

    assert len(shown()) == 3
    assert len(shown("--last", "1")) == 1
    assert shown("--film", str(film)) == shown("--model", "first") == [(ANNA.name, "first")]
    assert shown("--action", "delete") == [("local", "second")]
    main_ends(["trail"])
    assert "anna@hospital.example" in capsys.readouterr().out


FORMER_LINES = """\
{"when": "2026-01-01T10:00:00.000+00:00", "who": "local", "action": "judge a model", "model": "first"}
{"when": "2026-01-02T10:00:00.000+00:00", "who": "local", "action": "give a gate", "model": "first"}
{"when": "2026-01-03T10:00:00.000+00:00", "who": "local", "action": "sing a song", "model": "second"}
"""


def test_lines_of_version_0_1_are_found_by_the_present_and_the_former_names(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trail_dir().mkdir(parents=True)
    (trail_dir() / "2026-01.jsonl").write_text(FORMER_LINES)
    assert actions() == [Action.EVALUATE_MODEL, Action.ADD_INPUT_CHECK, "sing a song"]
    for words, model in (("evaluate", "first"), ("judge", "first"), ("gate", "first"), ("sing", "second")):
        main_ends(["trail", "--json", "--action", words])
        (line,) = json.loads(capsys.readouterr().out)
        assert line["model"] == model
    assert (trail_dir() / "2026-01.jsonl").read_text() == FORMER_LINES
