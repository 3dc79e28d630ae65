"""Who may do what: every action refuses who has not its role, from a page as from anywhere else."""

import shutil
import time
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from cxr.core.access import REQUIRED_ROLE, ROLES, Action, Person, acting_as
from cxr.core.audit_trail import read_entries
from cxr.core.errors import AccessError
from cxr.datasets import catalog, manifest
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached
from cxr.evaluation import model_evaluation
from cxr.evaluation.label_review.review import LabelReview, ReviewItem, save_answer
from cxr.evaluation.revision import revise
from cxr.evaluation.scores import read_scores
from cxr.evaluation.stored_evaluations import store_evaluation, stored_evaluations
from cxr.exchange import model_formats
from cxr.exchange.pacs.client import PacsClient
from cxr.exchange.pacs.configuration import Credentials, DicomWebSettings
from cxr.exchange.pacs.search import SearchTerms
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.inference import reader_responses
from cxr.inference.batch import read_sources
from cxr.inference.loading import load_classifier
from cxr.inference.reader_responses import ReaderResponse
from cxr.inference.sources import synthetic_sources
from cxr.jobs import input_check_training, run_store
from cxr.jobs.job import training_job
from cxr.jobs.quantization import quantize_model
from cxr.jobs.read import reading_job
from cxr.jobs.run import Status
from cxr.jobs.run_notes import write_notes
from cxr.jobs.training_plan import plan
from cxr.registry import default_model, package, registry
from cxr.registry.card import Statement
from cxr.ui import sign_in
from tests.support.training import tiny_recipe

PROJECT = Path(__file__).parents[2]
PAGES = {page: PROJECT / "pages" / f"{page.lower().replace(' ', '_')}.py" for page in sign_in.VIEW_ACTIONS}
ADDRESS = "anna@hospital.example"


def quiet(*_):
    """No bar."""


@pytest.fixture(scope="module")
def furnished(trained_home, phantoms, tmp_path_factory):
    """A home with two models, an evaluation, a run that ended, one that waits to begin, and a dataset."""
    home = shutil.copytree(trained_home, tmp_path_factory.mktemp("access") / "home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(home))
        package.import_model(package.export_model("first", home / "first.zip"), "second")
        default_model.promote("second")
        store_evaluation(registry.get_card("second"), "phantoms", None, read_scores(registry.evaluation_path("second")))
        run_store.create(plan(tiny_recipe(), [str(phantoms)], "third"), "tiny")
        catalog.add(phantoms)
    return home


@pytest.fixture
def used(furnished, monkeypatch):
    monkeypatch.setenv("CXR_HOME", str(furnished))
    return furnished


def waiting():
    """The run that was made and not started."""
    return next(run for run in run_store.all_runs() if run.job.model == "third")


def started(home):
    recipe = tiny_recipe()
    run_store.start(training_job(recipe.to_toml(), (catalog.entries()[0].path,)), recipe.name)


def stored(home):
    from cxr.registry.card import ModelDraft
    from cxr.registry.weights_file import load_arrays

    fields = {
        key: value for key, value in registry.get_card("first").model_dump().items() if key in ModelDraft.model_fields
    }
    draft = ModelDraft.model_validate(fields | {"name": "fourth"})
    arrays = load_arrays(registry.model_folder("first") / "weights.npz")
    registry.store(
        registry.NewModel(draft, registry.get_recipe("first"), arrays, registry.evaluation_path("first").read_text())
    )


def said():
    words = dict.fromkeys(("intended_use", "not_for", "data", "split", "training", "failures"), "-")
    return Statement(test_looks=1, **words)


def label_review():
    item = ReviewItem(film="f", path="f.png", label="viral", suggested="normal", rank=1, control=False)
    return LabelReview(
        id="one", data="set", created="", who="", backbone="imagenet", classes=("normal", "viral"), items=(item,)
    )


def pacs():
    pytest.importorskip("dicomweb_client", reason="dicomweb-client is not installed (requirements-dicom.txt)")
    return PacsClient(DicomWebSettings(url="http://127.0.0.1:9/dicom-web"), Credentials())


def dataset():
    return Dataset.open(catalog.entries()[0].path)


DO = {
    Action.READ_FILMS: lambda home: list(read_sources(load_classifier("first"), synthetic_sources()[:1])),
    Action.SAVE_RESPONSE: lambda home: reader_responses.save_responses(
        ReaderResponse("f", "first@0", "normal", 0.5, "agree")
    ),
    Action.EVALUATE_MODEL: lambda home: model_evaluation.evaluate_model(
        "first", [catalog.entries()[0].path], None, quiet
    ),
    Action.AUDIT_MODEL: lambda home: model_evaluation.audit_model("first", [catalog.entries()[0].path], quiet),
    Action.QUANTIZE_MODEL: lambda home: quantize_model("first", [catalog.entries()[0].path], quiet),
    Action.READ_ARCHIVE: lambda home: reading_job(registry.get_card("first"), catalog.entries()[0].path),
    Action.DELETE_EVALUATION: lambda home: next(
        one for one in stored_evaluations(registry.get_card("second")) if not one.role
    ).delete(),
    Action.AUDIT_DATASET: lambda home: audit_or_cached(dataset(), quiet),
    Action.CREATE_DATASET: lambda home: catalog.create("more", lambda folder: draw_phantom_set(folder, 8, size_px=32)),
    Action.START_RUN: started,
    Action.STOP_RUN: lambda home: run_store.stop(waiting()),
    Action.RESUME_RUN: lambda home: run_store.resume(waiting()),
    Action.DELETE_RUN: lambda home: run_store.delete(waiting()),
    Action.ANNOTATE_RUN: lambda home: write_notes(waiting(), "A note."),
    Action.TRAIN_MODEL: stored,
    Action.REVISE_MODEL: lambda home: revise("first", "more", ["decision.sure=0.9"]),
    Action.EXPORT_MODEL: lambda home: package.export_model("first", home / "again.zip"),
    Action.ADD_DATASET: lambda home: catalog.add("/no/such/folder"),
    Action.SPLIT_DATASET: lambda home: manifest.write_manifest(home / "manifest.csv", dataset()),
    Action.REVISE_DATASET: lambda home: manifest.write_manifest(
        home / "manifest.csv", dataset(), Action.REVISE_DATASET
    ),
    Action.REVIEW_LABELS: lambda home: save_answer(label_review(), "first reader", "f", "normal"),
    Action.REMOVE_DATASET: lambda home: catalog.remove("phantoms"),
    Action.ADD_INPUT_CHECK: lambda home: input_check_training.add_input_check(
        "first", [catalog.entries()[0].path], quiet
    ),
    Action.DESCRIBE_MODEL: lambda home: registry.set_statement("first", said()),
    Action.IMPORT_MODEL: lambda home: package.import_model(home / "first.zip", "fifth"),
    Action.PROMOTE_MODEL: lambda home: default_model.promote("first"),
    Action.ROLL_BACK: lambda home: default_model.roll_back(),
    Action.RENAME_MODEL: lambda home: registry.rename("first", "sixth"),
    Action.DELETE_MODEL: lambda home: registry.delete("first"),
    Action.SEARCH_PACS: lambda home: pacs().search(SearchTerms()),
    Action.SEND_TO_PACS: lambda home: pacs().store([]),
}


def test_every_action_is_tried():
    assert set(DO) == {action for action in REQUIRED_ROLE if not action.only_views}


def below(action):
    """The roles that are too low for it, none at all among them."""
    return (None, *ROLES[: ROLES.index(REQUIRED_ROLE[action])])


def state(home):
    """All that lies in this home but locks, bytes included."""
    return {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and not path.name.endswith("lock")}


@pytest.mark.parametrize(
    ("action", "role"), [(action, role) for action in sorted(DO) for role in below(action)], ids=str
)
def test_an_action_without_its_role_is_refused_and_changes_nothing(used, action, role):
    waiting().write_status(Status("starting" if action == Action.STOP_RUN else "stopped", heartbeat=time.time()))
    before, lines = state(used), len(read_entries())
    with acting_as(Person(ADDRESS, role)), pytest.raises(AccessError, match="need the role"):
        DO[action](used)
    assert state(used) == before
    assert len(read_entries()) == lines


def test_other_formats_of_an_export_are_refused_too(used):
    with acting_as(Person(ADDRESS, "reader")), pytest.raises(AccessError):
        model_formats.export_format("first", "keras")


@pytest.fixture
def guarded(used, monkeypatch):
    """Opens a page, by its address, as somebody who is signed in with a role, or not."""
    monkeypatch.setattr(sign_in, "has_authlib", lambda: True)

    def opened(page, role=None, roles=None, by_sub=None, **user):
        app = AppTest.from_file(str(PAGES[page]), default_timeout=60)
        app.secrets["auth"] = {"client_id": "cxr"}
        app.secrets["roles"] = roles if roles is not None else {role: [ADDRESS]} if role else {}
        app.secrets["roles_by_sub"] = by_sub or {}
        app.user = {"is_logged_in": True, "email": ADDRESS, "email_verified": True} | user
        return shown(app)

    return opened


def shown(app):
    app.run()
    assert not app.exception
    return app


def sentences(app):
    return " ".join(one.value for kind in (app.info, app.error, app.markdown, app.caption) for one in kind)


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_signed_in_sees_nothing_of_any_page(guarded, page):
    app = guarded(page, "admin", is_logged_in=False)
    assert [button.label for button in app.button] == ["Sign in"]
    assert not app.selectbox
    assert not app.dataframe
    assert not app.get("file_uploader")


@pytest.mark.parametrize("page", PAGES)
def test_who_is_signed_in_without_a_role_sees_nothing_of_any_page(guarded, page):
    app = guarded(page)
    assert [button.label for button in app.button] == ["Sign out"]
    assert "has no role" in sentences(app)
    assert not app.selectbox
    assert not app.get("file_uploader")


@pytest.mark.parametrize(("page", "action"), sign_in.VIEW_ACTIONS.items())
def test_a_page_is_shown_from_its_role_on_and_to_nobody_below(guarded, page, action):
    for role in ROLES:
        assert (f'need the role "{REQUIRED_ROLE[action]}"' in sentences(guarded(page, role))) == (role in below(action))


BUTTONS = {"models_promote": Action.PROMOTE_MODEL, "models_roll_back": Action.ROLL_BACK}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("key", "action"), BUTTONS.items())
def test_a_button_is_dead_without_the_role_and_says_why(guarded, key, action, role):
    app = guarded("Models", role)
    app.selectbox(key="models_model").set_value("first")
    button = shown(app).button(key=key)
    assert button.disabled == (role in below(action))
    if button.disabled:
        assert 'need the role "admin"' in button.help
        button.proto.disabled = False  # as who speaks to the server without the page may
        button.click()
        shown(app)
    assert default_model.default_name() == "second"


@pytest.mark.parametrize("key", BUTTONS)
def test_where_a_page_forgets_to_ask_the_action_refuses_and_the_page_says_so(guarded, monkeypatch, key):
    monkeypatch.setattr(sign_in, "button", lambda action, label, **more: st.button(label, **more))
    app = guarded("Models", "trainer")
    app.selectbox(key="models_model").set_value("first")
    shown(app).button(key=key).click()
    if key == "models_promote":
        confirm_promotion(shown(app))
    assert 'need the role "admin"' in shown(app).error[0].value
    assert default_model.default_name() == "second"


def confirm_promotion(app: AppTest) -> None:
    """Presses the dialog's button. A browser runs a dialog alone; here what opens it is pressed in the same run."""
    app.button(key="models_promote").click()
    app.button(key="models_promote_confirmed").click()


def test_an_admin_promotes_and_the_trail_knows_who(guarded):
    app = guarded("Models", "admin")
    app.selectbox(key="models_model").set_value("first")
    shown(app).button(key="models_promote").click()
    confirm_promotion(shown(app))
    shown(app)
    assert default_model.default_name() == "first"
    assert (read_entries()[-1].action, read_entries()[-1].who) == (Action.PROMOTE_MODEL, ADDRESS)
    app.button(key="models_roll_back").click()
    shown(app)
    assert default_model.default_name() == "second"


def test_a_reader_reads_and_the_trail_knows_who(guarded):
    app = guarded("Predict", "reader")
    next(button for button in app.button if button.key == "predict_example_drawn/viral").click()
    shown(app)
    assert (read_entries()[-1].action, read_entries()[-1].who, read_entries()[-1].model) == (
        Action.READ_FILMS,
        ADDRESS,
        "second",
    )


@pytest.mark.parametrize("role", ["reader", "trainer"])
def test_what_others_said_is_no_reader_s_to_take_away(guarded, monkeypatch, role):
    reader_responses.save_responses(ReaderResponse("f", "first@0", "normal", 0.5, "agree", "of another reader"))
    told = []

    def to_csv(answers):
        told.extend(answers)
        return ""

    monkeypatch.setattr("cxr.inference.response_tables.to_csv", to_csv)
    app = guarded("Predict", role)
    app.button(key="predict_example_drawn/viral").click()
    (kept,) = [one for one in shown(app).get("download_button") if one.key == "predict_saved_responses"]
    assert kept.disabled == (role == "reader") == ('need the role "trainer"' in kept.help) == (not told)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("page", ["Predict", "Evaluate", "Models"])
def test_a_reader_sees_no_dataset_s_name(guarded, page, role):
    from cxr.datasets import catalog

    name = "unspoken"
    if name not in [entry.name for entry in catalog.entries()]:
        catalog.create(name, lambda folder: draw_phantom_set(folder, 8, size_px=32))
        scores = read_scores(registry.evaluation_path("second"))
        store_evaluation(registry.get_card("second"), name, "test", scores)
    app = guarded(page, role)
    texts = repr([element.proto for element in app.main]) + sentences(app)
    assert (name in texts) == (page in ("Evaluate", "Models") and role != "reader")


def test_the_roles_of_the_secrets_count_by_address_and_by_identifier(guarded):
    assert role_shown(guarded("Data", roles={"reader": [ADDRESS], "admin": [ADDRESS.upper()]})) == "admin"
    unverified = {"email_verified": False, "sub": "4711"}
    assert role_shown(guarded("Models", "admin", **unverified)) == "no role"
    assert role_shown(guarded("Models", roles={}, by_sub={"admin": ["4711"]}, **unverified)) == "admin"


def role_shown(app):
    """The role beside the person's name at the top of the page."""
    return app.caption[0].value.rpartition(", ")[2]


def test_a_role_list_with_a_mistake_lets_nobody_in(guarded):
    app = guarded("Models", roles={"admin": [ADDRESS, "4711"]})
    assert len(app.error) == 1
    assert not app.selectbox


def test_a_sign_in_that_was_ended_in_one_tab_is_over_in_the_others(guarded):
    now = int(time.time())
    claims = {"iss": "https://login.example", "sub": "one", "iat": now}
    other = guarded("Models", "admin", **claims)
    guarded("Models", "admin", **claims).button(key="access.out").click().run()
    assert [button.label for button in shown(other).button] == ["Sign in"]
    assert role_shown(guarded("Models", "admin", **claims | {"iat": now + 1})) == "admin"


def test_who_signed_in_too_long_ago_signs_in_again(guarded):
    app = guarded("Models", "admin", iat=1_000_000)
    assert [button.label for button in app.button] == ["Sign in"]


def test_roles_without_a_way_to_sign_in_let_nobody_in(used, monkeypatch):
    app = AppTest.from_file(str(PAGES["Models"]), default_timeout=60)
    app.secrets["roles"] = {"admin": [ADDRESS]}
    assert shown(app).error[0].value.replace("\\", "") == sign_in.AUTH_MISSING  # its brackets are escaped
    assert not app.selectbox


def test_secrets_that_cannot_be_read_let_nobody_in(used, monkeypatch, tmp_path):
    from streamlit import config

    (tmp_path / "secrets.toml").write_text("[auth\n")
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(tmp_path / "secrets.toml")])
    try:
        app = shown(AppTest.from_file(str(PAGES["Models"]), default_timeout=60))
        assert app.error[0].value == sign_in.SECRETS_UNREADABLE
        assert not app.selectbox
    finally:
        config.set_option("secrets.files", before)


def test_without_secrets_the_one_local_person_sees_all_and_is_asked_nothing(used, monkeypatch):
    for page in PAGES.values():
        app = shown(AppTest.from_file(str(page), default_timeout=60))
        assert not [button for button in app.button if button.label in ("Sign in", "Sign out")]
