"""A training's result becomes a model in the registry, once."""

from dataclasses import replace

from cxr.core.atomic_files import write_atomically
from cxr.jobs import run_store
from cxr.jobs.model_names import earlier_models, planned_name
from cxr.jobs.run import Status
from cxr.jobs.run_journal import RunJournal
from cxr.jobs.training_plan import plan
from cxr.registry import registry
from cxr.registry.study_record import StudyRecord
from tests.support.training import WITHOUT_INPUT_CHECK, carry_out, execute_training, tiny_recipe


def test_the_duration_on_a_card_includes_the_epochs_before_a_break(home, phantoms):
    run = run_store.create(plan(tiny_recipe(training={"epochs": 2}), [str(phantoms)], "tiny"), "tiny")
    run.write_history([{"epoch": 1, "seconds": 5000.0}])
    execute_training(run, WITHOUT_INPUT_CHECK)
    assert 5000 < registry.get_card("tiny").duration_s < 6000


def test_a_run_that_died_after_it_stored_its_model_does_not_store_it_again(home, phantoms):
    run = run_store.create(plan(tiny_recipe(training={"epochs": 1}), [str(phantoms)], "tiny"), "tiny")
    execute_training(run, WITHOUT_INPUT_CHECK)
    run.write_status(Status("failed"))  # as if it had been killed before it wrote its final status
    assert registry.names() == ["tiny"]
    assert registry.get_card("tiny").run == run.id
    execute_training(run, WITHOUT_INPUT_CHECK)
    assert registry.names() == ["tiny"]
    assert (run.status.state, run.status.model) == ("finished", "tiny")


def test_the_best_trial_of_a_study_that_went_on_becomes_a_model_of_its_own(home, phantoms):
    run = run_store.create(plan(tiny_recipe(training={"epochs": 1}), [str(phantoms)], "tiny"), "tiny")
    first = StudyRecord("study", trial=1, trials=2, complete=2, rank=1, metric="val_auc", value=0.9, searched=("a.b",))
    for record in (first, first, replace(first, trials=3, complete=3)):
        job = replace(run.job, parameters=replace(run.job.training, study=record))
        write_atomically(run.folder / "job.json", job.to_json())
        run.write_status(Status("stopped"))
        execute_training(run, WITHOUT_INPUT_CHECK)
    assert {name: registry.get_card(name).study.trials for name in registry.names()} == {"tiny": 2, "tiny-2": 3}
    assert run.status.model == "tiny-2"


def test_a_resumed_run_stores_a_second_model_and_names_the_first(home, phantoms, monkeypatch):
    run = run_store.create(plan(tiny_recipe(training={"epochs": 2}), [str(phantoms)], "tiny"), "tiny")
    with monkeypatch.context() as patch:
        patch.setattr(RunJournal, "should_stop", lambda journal: bool(journal.run.history()))
        execute_training(run, WITHOUT_INPUT_CHECK)
    assert (run.status.state, run.status.model) == ("stopped", "tiny")
    assert planned_name(run) == "tiny-2"
    execute_training(run, WITHOUT_INPUT_CHECK)
    assert run.status.model == "tiny-2"
    assert [card.name for card in earlier_models(registry.get_card("tiny-2"))] == ["tiny"]
    assert "'tiny-2'" in run.status.sentence
    assert "'tiny'" in run.status.sentence


def test_a_name_that_was_taken_meanwhile_gets_a_number(home, phantoms):
    recipe = tiny_recipe(training={"epochs": 1})
    late = run_store.create(plan(recipe, [str(phantoms)], "tiny"), "tiny")
    carry_out(recipe, [phantoms], "tiny", WITHOUT_INPUT_CHECK)
    execute_training(late, WITHOUT_INPUT_CHECK)
    assert late.status.state == "finished"
    assert late.status.model == "tiny-2"
    assert "'tiny-2'" in late.status.sentence
    assert sorted(registry.names()) == ["tiny", "tiny-2"]
