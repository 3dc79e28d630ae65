"""The names of new models."""

from cxr.core.paths import models_dir
from cxr.jobs import run_store
from cxr.jobs.job import training_job
from cxr.jobs.model_names import free_name
from cxr.jobs.run import Status


def alive_run(model):
    run = run_store.create(training_job("", (), model), "tiny")
    assert run.status.alive
    return run


def test_a_free_name_is_neither_in_the_registry_nor_planned_by_a_run(home):
    assert free_name("tiny") == "tiny"
    (models_dir() / "tiny").mkdir(parents=True)  # damaged: no card; its name is taken all the same
    assert free_name("tiny") == "tiny-2"
    planned = alive_run("tiny-2")
    assert free_name("tiny") == "tiny-3"
    planned.write_status(Status("failed"))
    assert free_name("tiny") == "tiny-2"


def test_a_run_with_a_damaged_job_plans_no_name(home):
    (alive_run("tiny").folder / "job.json").write_text("{")
    assert free_name("tiny") == "tiny"
