"""The page Data without a browser, in a home of its own."""

import re
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalog
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit
from cxr.ui.data.add import NO_DATASETS, NOT_A_ZIP
from cxr.ui.data.browse import NO_MATCHES
from cxr.ui.data.dataset import SIZES_NEED_AUDIT
from cxr.ui.data.splits import COPIES_TOGETHER, COPIES_UNKNOWN, READ_ONLY, SAME_SPLIT

PAGE = Path(__file__).parents[2] / "pages" / "data.py"
ENTRY = Path(__file__).parents[2] / "streamlit_app.py"


@pytest.fixture
def app(home: Path) -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=60)


@pytest.fixture
def mine(phantoms: Path, home: Path, tmp_path: Path) -> catalog.DatasetEntry:
    """The synthetic X-rays, in the list and free to be changed."""
    return catalog.add(shutil.copytree(phantoms, tmp_path / "mine"))


def run(app: AppTest) -> AppTest:
    app.run()
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    """All sentences on the page."""
    kinds = (app.markdown, app.caption, app.info, app.success, app.warning, app.error, app.text)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def show_view(app: AppTest, view: str) -> AppTest:
    app.session_state["data_view"] = view
    return run(app)


def press(app: AppTest, *keys: str) -> AppTest:
    """Press buttons in one run. A browser runs a dialog alone; here the button that opens it is pressed again."""
    for key in keys:
        app.button(key=key).click()
    return run(app)


def keys_of(app: AppTest) -> list[str]:
    return [str(button.key) for button in app.button]


def test_without_datasets_the_page_offers_a_synthetic_one(app: AppTest) -> None:
    run(app)
    assert app.info[0].value == NO_DATASETS
    assert keys_of(app)[0] == "data_create_default"
    assert "data_dataset" not in {box.key for box in app.selectbox}


def test_a_synthetic_set_is_created_with_its_options_and_chosen(app: AppTest) -> None:
    run(app)
    app.text_input(key="data_synthetic_name").input("try")
    app.number_input(key="data_synthetic_films").set_value(12)
    app.number_input(key="data_synthetic_size").set_value(32)
    app.number_input(key="data_synthetic_wrong").set_value(10)
    app.selectbox(key="data_synthetic_machine").select("second")
    press(app, "data_synthetic_create")
    assert app.selectbox(key="data_dataset").value == "try"
    assert len(app.success) == 1
    assert "12 X-rays from 12 patients" in text(app)
    assert "`data/try`" in text(app)  # relative to this installation's folder
    rows = Dataset.open(catalog.find_entry("try").path).table
    assert len(rows) == 12
    assert set(rows["source"]) == {"phantom-second"}
    assert (rows["label"] != rows["finding"]).sum() == 1  # of nine or so training patients


def test_an_invalid_name_is_an_error_and_nothing_is_created(app: AppTest, home: Path) -> None:
    run(app)
    app.text_input(key="data_synthetic_name").input("../x")
    assert len(press(app, "data_synthetic_create").error) == 1
    assert not (home / "data").exists()


def test_a_folder_is_added_by_its_path_and_a_missing_one_is_an_error(app: AppTest, phantoms: Path) -> None:
    run(app)
    app.text_input(key="data_path_0").input(str(phantoms / "nowhere"))
    assert str(phantoms / "nowhere") in press(app, "data_path_add").error[0].value
    app.text_input(key="data_path_0").input(str(phantoms))
    assert "160 X-rays from" in text(press(app, "data_path_add"))
    assert not app.error


def test_an_uploaded_zip_is_written_only_when_it_is_saved(app: AppTest, home: Path, phantoms: Path) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for film in sorted((phantoms / "images").iterdir())[:6]:
            zipped.write(film, f"normal/{film.name}")
    run(app)
    app.file_uploader(key="data_zip").upload("Our Films.zip", packed.getvalue(), "application/zip")
    run(app)
    assert not home.exists() or not list(home.rglob("*.zip"))
    press(app, "data_zip_save")
    assert app.selectbox(key="data_dataset").value == "our-films"
    assert catalog.find_entry("our-films").created_here


def test_a_file_that_is_not_a_zip_is_an_error_until_a_better_one_is_chosen(app: AppTest, home: Path) -> None:
    run(app)
    app.file_uploader(key="data_zip").upload("films.rar", b"Rar!", "application/vnd.rar")
    assert run(app).error[0].value == NOT_A_ZIP
    assert "data_zip_save" not in keys_of(app)
    empty = BytesIO()
    with zipfile.ZipFile(empty, "w") as zipped:
        zipped.writestr("read me.txt", "nothing")
    app.file_uploader(key="data_zip").upload("Empty.zip", empty.getvalue(), "application/zip")
    assert not run(app).error
    assert "empty" in press(app, "data_zip_save").error[0].value
    assert not list((home / "data").iterdir())


def test_films_are_filtered_by_class_split_and_path(app: AppTest, mine: catalog.DatasetEntry) -> None:
    run(app)
    assert "1–24 of 160" in text(app)
    app.multiselect(key="data_mine_label").set_value(["viral"])
    assert "1–24 of 40" in text(run(app))
    app.multiselect(key="data_mine_split").set_value(["test"])
    app.text_input(key="data_mine_path").input("PHANTOM-0000")
    table = Dataset.open(mine.path).table
    wanted = table[(table["label"] == "viral") & (table["split"] == "test") & table["path"].str.contains("-0000")]
    assert f"1–{len(wanted)} of {len(wanted)}" in text(run(app))
    app.text_input(key="data_mine_path").input("(")
    assert NO_MATCHES in text(run(app))


def test_a_filter_for_a_class_that_is_gone_is_dropped(app: AppTest, mine: catalog.DatasetEntry) -> None:
    run(app)
    app.multiselect(key="data_mine_label").set_value(["viral"])
    run(app)
    manifest = Path(mine.path) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",bacterial,"))
    assert "of 160" in text(run(app))


def test_an_unreadable_film_is_a_tile_with_its_reason(app: AppTest, mine: catalog.DatasetEntry) -> None:
    before = len(run(app).caption)
    (Path(mine.path) / "images" / "phantom-00000.png").write_bytes(b"broken")
    assert len(run(app).caption) == before + 1


def test_a_film_opens_larger_with_its_row(app: AppTest, mine: catalog.DatasetEntry) -> None:
    run(app)
    press(app, "data_mine_page_open_3")
    row = app.dataframe[0].value.set_index("Column")["Value"]
    assert row["path"] == "images/phantom-00003.png"
    assert re.search(r"64 . 64 pixels, PNG", text(app))


def test_an_audit_is_run_once_and_shown_from_then_on(app: AppTest, mine: catalog.DatasetEntry) -> None:
    show_view(app, "Audit")
    assert len(app.info) == 1
    press(app, "data_audit")
    assert not app.info
    audit = cached_audit(Dataset.open(mine.path))
    assert audit is not None
    assert audit.findings[0].sentence in text(app)


def test_findings_are_shown_by_severity_the_highest_first(app: AppTest, mine: catalog.DatasetEntry) -> None:
    (Path(mine.path) / "images" / "phantom-00000.png").write_bytes(b"broken")
    audit = audit_or_cached(Dataset.open(mine.path))
    show_view(app, "Audit")
    by_severity = {
        name: [one.sentence for one in audit.findings if one.severity == name] for name in ("error", "warning")
    }
    assert by_severity["error"]
    assert [element.value for element in app.text] == by_severity["error"]
    app.session_state["data_mine_severity"] = "warning"
    assert [element.value for element in run(app).text] == by_severity["warning"]


def test_after_an_audit_the_charts_show_image_sizes(app: AppTest, mine: catalog.DatasetEntry) -> None:
    show_view(app, "Charts")
    assert SIZES_NEED_AUDIT in text(app)
    before = len(app.get("plotly_chart"))
    audit_or_cached(Dataset.open(mine.path))
    run(app)
    assert len(app.get("plotly_chart")) == before + 1
    assert SIZES_NEED_AUDIT not in text(app)


def test_a_split_is_previewed_and_saved_after_a_confirmation_beside_the_old_manifest(
    app: AppTest, mine: catalog.DatasetEntry
) -> None:
    show_view(app, "Splits")
    _, train, validation, test = app.dataframe[0].value.iloc[-2]  # all classes together, above the patients
    assert train + validation + test == 160
    assert validation > 0
    press(app, "data_split_save")
    assert sorted(Path(mine.path).glob("*.csv")) == [Path(mine.path) / "manifest.csv"]
    assert "val" not in set(Dataset.open(mine.path).table["split"])
    press(app, "data_split_save", "data_split_confirmed")
    assert (Dataset.open(mine.path).table["split"] == "val").sum() == validation
    assert len(list(Path(mine.path).glob("manifest-before-*.csv"))) == 1
    assert SAME_SPLIT in text(run(app))


def test_a_split_keeps_copies_together_once_an_audit_has_found_them(app: AppTest, mine: catalog.DatasetEntry) -> None:
    first, *_, last = Dataset.open(mine.path).table["path"]
    shutil.copy(Path(mine.path) / first, Path(mine.path) / last)
    show_view(app, "Splits")
    assert COPIES_UNKNOWN in [warning.value for warning in app.warning]
    audit_or_cached(Dataset.open(mine.path))
    run(app)
    assert COPIES_UNKNOWN not in [warning.value for warning in app.warning]
    assert COPIES_TOGETHER.format("2 X-rays") in text(app)


def test_split_settings_are_the_same_after_a_visit_to_another_page(mine: catalog.DatasetEntry) -> None:
    app = run(AppTest.from_file(str(ENTRY), default_timeout=60))
    show_view(app.switch_page("pages/data.py"), "Splits")
    app.checkbox(key="data_split_keep").uncheck()
    run(app).slider(key="data_split_test").set_value(30)
    app.slider(key="data_split_validation").set_value(5)
    app.number_input(key="data_split_seed").set_value(7)
    counts = run(app).dataframe[0].value
    run(app.switch_page("pages/train.py"))
    run(app.switch_page("pages/data.py"))
    assert not app.checkbox(key="data_split_keep").value
    assert [app.slider(key=f"data_split_{name}").value for name in ("test", "validation")] == [30, 5]
    assert app.number_input(key="data_split_seed").value == 7
    assert app.dataframe[0].value.equals(counts)


def test_a_folder_of_cxr_data_is_read_only(app: AppTest, phantoms: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXR_DATA", str(phantoms))
    show_view(app, "Splits")
    assert READ_ONLY in text(app)
    assert not {"data_split_save", "data_remove"} & set(keys_of(app))


def test_a_removed_dataset_leaves_its_files(app: AppTest, mine: catalog.DatasetEntry) -> None:
    run(app)
    assert f"`{mine.path}`" in text(press(app, "data_remove"))
    press(app, "data_remove", "data_remove_confirmed")
    assert catalog.entries() == []
    assert Path(mine.path, "manifest.csv").is_file()


def test_a_missing_folder_is_a_warning(app: AppTest, mine: catalog.DatasetEntry, tmp_path: Path) -> None:
    Path(mine.path).rename(tmp_path / "elsewhere")
    assert mine.path in run(app).warning[0].value


def test_a_damaged_manifest_is_an_error(app: AppTest, mine: catalog.DatasetEntry) -> None:
    Path(mine.path, "manifest.csv").write_text("nothing")
    assert "path" in run(app).error[0].value


def test_the_address_names_dataset_and_view(app: AppTest, phantoms: Path, others: Path) -> None:
    for path, name in ((phantoms, "first"), (others / "placed", "second")):
        catalog.add(path, name)
    app.query_params["dataset"], app.query_params["show"] = "second", "Splits"
    run(app)
    chosen = app.selectbox(key="data_dataset").value, app.segmented_control(key="data_view").value
    assert chosen == ("second", "Splits")
    app.segmented_control(key="data_view").set_value("Charts").run()
    assert app.query_params["show"] == "Charts"
    app.selectbox(key="data_dataset").set_value("first").run()
    assert "dataset" not in app.query_params  # it is the one that is shown anyway
    app.selectbox(key="data_dataset").set_value("second").run()
    assert app.query_params["dataset"] == "second"
    app.query_params["dataset"] = "gone"
    assert 'There is no dataset "gone". Showing "second".' in text(run(app))
