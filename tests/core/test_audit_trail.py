"""The audit trail: every action leaves one whole line, whoever writes beside it; nothing in it tells a patient."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cxr.cli.app import main
from cxr.core import audit_trail
from cxr.core.access import LOCAL, Action, Person, acting_as
from cxr.core.audit_trail import AuditEntry, append_entry, audited, read_entries
from cxr.core.errors import AccessError, CxrError, RegistryError
from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.films.film import film_id
from cxr.inference.batch import read_sources
from cxr.inference.reader_responses import ReaderResponse, save_responses
from cxr.inference.sources import source_on_disk
from cxr.jobs import run_store, train
from cxr.jobs.run import Status
from cxr.registry import package, registry
from tests.support.training import tiny_recipe

PROJECT = Path(__file__).parents[2]
ANNA = Person("anna@hospital.example", "admin")


@pytest.fixture
def shelved(home, phantoms):
    """A model of one epoch on the shelf."""
    recipe = tiny_recipe(training={"epochs": 1})
    with acting_as(ANNA):
        run = run_store.create(train.plan(recipe, [str(phantoms)], "first"), recipe.name)
    train.execute(run)
    return run


def actions(since=0):
    return [one.action for one in read_entries()][since:]


def test_a_training_s_line_has_who_started_it_and_its_model_s_version(shelved):
    line = read_entries()[-1]
    assert (line.action, line.who, line.model) == (Action.TRAIN_MODEL, ANNA.name, "first")
    assert line.version == registry.get_card("first").version


def test_what_is_done_with_models_leaves_a_line_each(shelved, tmp_path):
    before = len(read_entries())
    package.import_model(package.export_model("first", tmp_path / "first.zip"), "second")
    registry.promote("second")
    registry.roll_back()
    registry.rename("second", "third")
    registry.delete("third")
    version = registry.get_card("first").version
    assert [(one.action, one.model, one.version, one.more, one.who) for one in read_entries()[before:]] == [
        (Action.EXPORT_MODEL, "first", version, "zip", "local"),
        (Action.IMPORT_MODEL, "second", version, "", "local"),
        (Action.PROMOTE_MODEL, "second", version, "", "local"),
        (Action.ROLL_BACK, "first", version, "", "local"),
        (Action.RENAME_MODEL, "second", version, "third", "local"),
        (Action.DELETE_MODEL, "third", version, "", "local"),
    ]


def test_what_fails_leaves_no_line(shelved):
    before = read_entries()
    with pytest.raises(RegistryError):
        registry.delete("first")  # it is in use
    with pytest.raises(RegistryError):
        registry.promote("nobody")
    assert read_entries() == before


def test_a_reading_s_line_has_the_film_s_digest_and_no_name(shelved, phantoms, tmp_path):
    film = tmp_path / "Doe^Jane-19610203.png"
    film.write_bytes(next(phantoms.rglob("*.png")).read_bytes())
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no film")
    before = len(read_entries())
    list(read_sources(registry.load("first"), [source_on_disk(film), source_on_disk(broken)]))
    (line,) = read_entries()[before:]
    assert (line.action, line.model, line.film) == (Action.READ_FILMS, "first", film_id(film.read_bytes()))
    written = "".join(path.read_text("utf-8") for path in audit_trail.trail_dir().iterdir())
    assert "Doe" not in written and "1961" not in written and str(tmp_path) not in written


def test_a_kept_opinion_s_line_has_film_and_model_and_neither_answer_nor_note(home):
    save_responses(
        ReaderResponse("f1", "first@abc", "viral", 0.9, "disagree", "a scar"),
        ReaderResponse("f2", "first@abc", "viral", 0.8, "agree"),
    )
    assert sorted((one.action, one.model, one.version, one.film, one.more) for one in read_entries()) == [
        (Action.SAVE_RESPONSE, "first", "abc", "f1", ""),
        (Action.SAVE_RESPONSE, "first", "abc", "f2", ""),
    ]
    assert not re.search("disagree|scar", next(audit_trail.trail_dir().iterdir()).read_text("utf-8"))


def test_an_opinion_that_could_not_be_kept_leaves_no_line(home):
    (home / "opinions.jsonl").mkdir(parents=True)
    with pytest.raises(CxrError):
        save_responses(ReaderResponse("f1", "first@abc", "viral", 0.9, "agree"))
    assert read_entries() == []


def test_an_audit_leaves_a_line_where_films_are_looked_through_and_none_where_it_is_known(home, phantoms):
    dataset = Dataset.open(phantoms)
    assert audit_or_cached(dataset) == audit_or_cached(dataset)
    assert actions() == [Action.AUDIT_DATASET]


def test_datasets_are_in_it_without_their_names(home, phantoms, tmp_path):
    named = tmp_path / "Doe_Jane"
    named.symlink_to(phantoms)
    catalogue.add(named)
    catalogue.remove(catalogue.entries()[0].name)
    assert actions() == [Action.ADD_DATASET, Action.REMOVE_DATASET]
    assert not re.search("phantoms|doe", next(audit_trail.trail_dir().iterdir()).read_text("utf-8"), re.IGNORECASE)


def test_a_run_s_start_stop_and_end_are_in_it(home, phantoms):
    recipe = tiny_recipe(training={"epochs": 1})
    run = run_store.create(train.plan(recipe, [str(phantoms)], None), recipe.name)
    run_store.stop(run)
    run.write_status(Status("stopped"))
    run_store.delete(run)
    assert [(one.action, one.run) for one in read_entries()] == [(Action.STOP_RUN, run.id), (Action.DELETE_RUN, run.id)]


def test_lines_that_many_processes_write_at_once_are_all_there_and_whole(home):
    code = (
        "from cxr.core.access import Person; from cxr.core.audit_trail import Deed, leave; import sys\n"
        "for n in range(200):\n"
        "    leave(Deed('read films', film=f'{sys.argv[1]}-{n}', more='x' * 500), Person('p', 'reader'))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(n)], cwd=PROJECT, env=os.environ | {"CXR_HOME": str(home)})
        for n in range(4)
    ]
    assert [child.wait(60) for child in children] == [0] * 4
    (path,) = audit_trail.trail_dir().iterdir()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert {line["film"] for line in lines} == {f"{n}-{i}" for n in range(4) for i in range(200)}
    assert len(lines) == 800


def test_a_line_that_a_full_disk_cut_off_takes_no_other_with_it(home):
    append_entry(AuditEntry(Action.ROLL_BACK, model="first"), LOCAL)
    with next(audit_trail.trail_dir().iterdir()).open("a") as file:
        file.write('{"when": "2026-01-01T00:00:00", "who": "lo')
    append_entry(AuditEntry(Action.ROLL_BACK, model="second"), LOCAL)
    assert [one.model for one in read_entries()] == ["first", "second"]


@pytest.fixture
def unwritable(home):
    """A trail that cannot be written, also by root: where its folder should be, there is a file."""
    home.mkdir()
    (home / "trail").write_text("")


def test_where_no_line_can_be_written_a_signed_in_person_is_refused_before_anything_is_done(unwritable):
    done = []
    with (
        acting_as(ANNA),
        pytest.raises(AccessError, match="audit trail .* cannot be written"),
        audited(Action.ROLL_BACK),
    ):
        done.append(1)
    assert not done


def test_where_no_line_can_be_written_the_local_person_is_warned_and_goes_on(unwritable, caplog):
    with audited(Action.ROLL_BACK):
        pass
    assert "cannot be written" in caplog.text


def test_a_trail_that_is_turned_off_keeps_nothing(home, monkeypatch, capsys):
    monkeypatch.setenv("CXR_TRAIL", "off")
    with audited(Action.ROLL_BACK):
        pass
    assert read_entries() == []
    main_ends(["trail"])
    assert "keeps no trail" in capsys.readouterr().err


def main_ends(arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert not end.value.code


def test_the_command_line_shows_it_by_action_model_and_film(home, tmp_path, capsys):
    film = tmp_path / "film.png"
    film.write_bytes(b"some bytes")
    append_entry(AuditEntry(Action.READ_FILMS, "first", "abc", film=film_id(b"some bytes")), ANNA)
    append_entry(AuditEntry(Action.READ_FILMS, "second", "def", film="0" * 16), LOCAL)
    append_entry(AuditEntry(Action.DELETE_MODEL, "second", "def"), LOCAL)

    def shown(*words):
        main_ends(["trail", "--json", *words])
        return [(one["who"], one["model"]) for one in json.loads(capsys.readouterr().out)]

    assert len(shown()) == 3 and len(shown("--last", "1")) == 1
    assert shown("--film", str(film)) == shown("--model", "first") == [(ANNA.name, "first")]
    assert shown("--action", "delete") == [("local", "second")]
    main_ends(["trail"])
    assert "anna@hospital.example" in capsys.readouterr().out
