"""The page Data without a browser, over a home of its own."""

import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from cxr.datasets import catalogue
from cxr.datasets.dataset import Dataset
from cxr.datasets.quality.audit_cache import audit_or_cached, cached_audit

PAGE = Path(__file__).parents[2] / "pages" / "data.py"
ENTRY = Path(__file__).parents[2] / "streamlit_app.py"


@pytest.fixture
def app(home: Path) -> AppTest:
    return AppTest.from_file(str(PAGE), default_timeout=60)


@pytest.fixture
def mine(phantoms: Path, home: Path, tmp_path: Path) -> catalogue.DatasetEntry:
    """The drawn films, in the list and free to be changed."""
    return catalogue.add(shutil.copytree(phantoms, tmp_path / "mine"))


def shown(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def text(app: AppTest) -> str:
    """All sentences on the page."""
    kinds = (app.markdown, app.caption, app.info, app.success, app.warning, app.error, app.text)
    return "\n".join(str(one.value) for kind in kinds for one in kind)


def look_at(app: AppTest, view: str) -> AppTest:
    app.session_state["data_view"] = view
    return shown(app.run())


def confirm(app: AppTest, asked: str, sure: str) -> None:
    """Press the button in a dialog. A browser runs the dialog alone; here it is to be opened anew."""
    app.button(key=asked).click()
    app.button(key=sure).click()


def test_where_there_is_nothing_the_page_leads_to_a_phantom_set(app):
    shown(app.run())
    assert "There are no films yet" in app.info[0].value
    assert [button.label for button in app.button][0] == "Draw a phantom set"
    assert not app.selectbox


def test_a_phantom_set_is_drawn_with_its_options_and_chosen(app):
    shown(app.run())
    app.text_input(key="data_draw_name").input("try")
    app.number_input(key="data_draw_films").set_value(12)
    app.number_input(key="data_draw_size").set_value(32)
    app.button(key="data_draw").click()
    shown(app.run())
    assert app.selectbox(key="data_place").value == "try"
    assert app.success[0].value == "'try' is in the list now."
    assert "12 films of 12 patients" in text(app)
    assert "`data/try`" in text(app)  # from this installation's folder on
    assert len(Dataset.open(catalogue.find_entry("try").path)) == 12


def test_a_name_that_cannot_be_is_a_sentence_and_nothing_is_drawn(app, home):
    shown(app.run())
    app.text_input(key="data_draw_name").input("../x")
    app.button(key="data_draw").click()
    assert "cannot be a dataset's name" in shown(app.run()).error[0].value
    assert not (home / "data").exists()


def test_a_folder_is_added_by_its_path_and_a_path_that_is_none_is_a_sentence(app, phantoms):
    shown(app.run())
    app.text_input(key="data_path_0").input(str(phantoms / "nowhere"))
    app.button(key="data_path_add").click()
    assert "There is nothing at" in shown(app.run()).error[0].value
    app.text_input(key="data_path_0").input(str(phantoms))
    app.button(key="data_path_add").click()
    assert "160 films of" in text(shown(app.run()))
    assert not app.error


def test_an_uploaded_zip_is_written_only_when_it_is_to_be_kept(app, home, phantoms):
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for film in sorted((phantoms / "images").iterdir())[:6]:
            zipped.write(film, f"normal/{film.name}")
    shown(app.run())
    app.file_uploader(key="data_zip").upload("Our Films.zip", packed.getvalue(), "application/zip")
    shown(app.run())
    assert not home.exists() or not list(home.rglob("*.zip"))
    app.button(key="data_zip_keep").click()
    shown(app.run())
    assert app.selectbox(key="data_place").value == "our-films"
    assert catalogue.find_entry("our-films").created_here


def test_a_file_that_is_no_zip_is_a_sentence_that_a_better_choice_takes_away(app, home, phantoms):
    shown(app.run())
    app.file_uploader(key="data_zip").upload("films.rar", b"Rar!", "application/vnd.rar")
    assert "This file is no ZIP" in shown(app.run()).error[0].value
    assert not [one for one in app.button if one.key == "data_zip_keep"]
    empty = BytesIO()
    with zipfile.ZipFile(empty, "w") as zipped:
        zipped.writestr("read me.txt", "nothing")
    app.file_uploader(key="data_zip").upload("Empty.zip", empty.getvalue(), "application/zip")
    assert not shown(app.run()).error
    app.button(key="data_zip_keep").click()
    assert shown(app.run()).error[0].value.startswith("No films were found in empty.")
    assert not list((home / "data").iterdir())


def test_films_are_filtered_by_class_split_and_path(app, mine):
    shown(app.run())
    assert "Films 1 to 24 of 160" in text(app)
    app.multiselect(key="data_mine_label").set_value(["viral"])
    assert "Films 1 to 24 of 40" in text(shown(app.run()))
    app.multiselect(key="data_mine_split").set_value(["test"])
    app.text_input(key="data_mine_path").input("PHANTOM-0000")
    table = Dataset.open(mine.path).table
    wanted = table[(table["label"] == "viral") & (table["split"] == "test") & table["path"].str.contains("-0000")]
    assert f"Films 1 to {len(wanted)} of {len(wanted)}" in text(shown(app.run()))
    app.text_input(key="data_mine_path").input("(")
    assert "No film is like that" in text(shown(app.run()))


def test_a_filter_for_a_class_that_is_gone_is_let_go(app, mine):
    shown(app.run())
    app.multiselect(key="data_mine_label").set_value(["viral"])
    shown(app.run())
    manifest = Path(mine.path) / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",viral,", ",bacterial,"))
    assert "of 160" in text(shown(app.run()))


def test_a_broken_film_is_a_tile_with_its_reason(app, mine):
    (Path(mine.path) / "images" / "phantom-00000.png").write_bytes(b"broken")
    assert "Cannot be read. This file is neither an image" in text(shown(app.run()))


def test_a_film_opens_larger_with_its_row(app, mine):
    shown(app.run())
    app.button(key="data_mine_page_open_3").click()
    shown(app.run())
    row = app.dataframe[0].value.set_index("column")["value"]
    assert row["path"] == "images/phantom-00003.png"
    assert "64 x 64 pixels, PNG" in text(app)


def test_an_audit_is_asked_for_once_and_shown_from_then_on(app, mine):
    look_at(app, "Audit")
    assert "have not been audited" in app.info[0].value
    app.button(key="data_audit").click()
    shown(app.run())
    assert not app.info
    found = cached_audit(Dataset.open(mine.path))
    assert found is not None
    assert found.findings[0].sentence in text(app)


def test_findings_are_shown_by_severity_gravest_first(app, mine):
    (Path(mine.path) / "images" / "phantom-00000.png").write_bytes(b"broken")
    audit_or_cached(Dataset.open(mine.path))
    look_at(app, "Audit")
    assert [one.value for one in app.text][0].startswith("1 film cannot be read")
    app.session_state["data_mine_severity"] = "warning"
    assert not any(one.value.startswith("1 film cannot") for one in shown(app.run()).text)


def test_charts_count_the_sizes_once_there_was_an_audit(app, mine):
    look_at(app, "Charts")
    assert "sizes of the films are counted by the audit" in text(app)
    before = len(app.get("plotly_chart"))
    audit_or_cached(Dataset.open(mine.path))
    shown(app.run())
    assert len(app.get("plotly_chart")) == before + 1


def test_a_split_is_previewed_then_written_after_a_confirmation_with_the_old_manifest_kept(app, mine):
    look_at(app, "Splits")
    counts = app.dataframe[0].value.set_index("class")
    assert counts.loc["all films"].sum() == 160
    assert counts.loc["all films", "val"] > 0
    app.button(key="data_deal_write").click()
    shown(app.run())
    assert sorted(Path(mine.path).glob("*.csv")) == [Path(mine.path) / "manifest.csv"]
    assert "val" not in set(Dataset.open(mine.path).table["split"])
    confirm(app, "data_deal_write", "data_deal_sure")
    shown(app.run())
    assert (Dataset.open(mine.path).table["split"] == "val").sum() == counts.loc["all films", "val"]
    assert len(list(Path(mine.path).glob("manifest-before-*.csv"))) == 1
    assert "This is the split that these films have." in text(shown(app.run()))


def test_how_a_split_is_dealt_is_found_again_when_another_page_was_visited(mine):
    app = shown(AppTest.from_file(str(ENTRY), default_timeout=60).run())
    look_at(app.switch_page("pages/data.py"), "Splits")
    app.checkbox(key="data_deal_keep").uncheck()
    shown(app.run()).slider(key="data_deal_test").set_value(30)
    app.slider(key="data_deal_validation").set_value(5)
    app.number_input(key="data_deal_seed").set_value(7)
    counts = shown(app.run()).dataframe[0].value
    shown(app.switch_page("pages/train.py").run())
    shown(app.switch_page("pages/data.py").run())
    assert not app.checkbox(key="data_deal_keep").value
    assert [app.slider(key=f"data_deal_{of}").value for of in ("test", "validation")] == [30, 5]
    assert app.number_input(key="data_deal_seed").value == 7
    assert app.dataframe[0].value.equals(counts)


def test_nothing_is_written_into_a_folder_of_cxr_data(app, phantoms, monkeypatch):
    monkeypatch.setenv("CXR_DATA", str(phantoms))
    look_at(app, "Splits")
    assert "data_deal_write" not in [button.key for button in app.button]
    assert "data_forget" not in [button.key for button in app.button]


def test_taking_a_dataset_off_the_list_says_what_becomes_of_its_films(app, mine):
    shown(app.run())
    app.button(key="data_forget").click()
    assert "Its films stay where they are" in text(shown(app.run()))
    confirm(app, "data_forget", "data_forget_sure")
    shown(app.run())
    assert catalogue.entries() == []
    assert Path(mine.path, "manifest.csv").is_file()


def test_films_that_are_gone_are_a_sentence(app, mine, tmp_path):
    Path(mine.path).rename(tmp_path / "elsewhere")
    assert "There is nothing at" in shown(app.run()).warning[0].value


def test_a_manifest_that_was_damaged_is_a_sentence(app, mine):
    Path(mine.path, "manifest.csv").write_text("nothing")
    assert "has no column path" in shown(app.run()).error[0].value
