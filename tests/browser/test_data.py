"""The page Data, as a person comes to it: with nothing, and with a folder of their own."""

import shutil

import pytest

from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.browser import settled
from tests.support.server import serving

DRAWING_MS = 180_000  # 160 films, on a busy machine


@pytest.fixture(scope="module")
def empty_server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("empty") / "home") as running:
        yield running


def tiles_are_drawn(page, count):
    page.wait_for_function(
        """count => { const tiles = [...document.querySelectorAll('img[alt*="phantom-"]')];
                      return tiles.length === count && tiles.every(tile => tile.complete && tile.naturalWidth > 0) }""",
        arg=count,
    )


def test_from_nothing_to_the_films_behind_a_finding(page, empty_server):
    page.goto(f"{empty_server.url}/data")
    page.get_by_role("button", name="Draw a phantom set").click()
    page.get_by_text("Drawing films:").wait_for()
    page.get_by_text("Films 1 to 24 of 160").wait_for(timeout=DRAWING_MS)
    tiles_are_drawn(page, 24)

    films = empty_server.home / "data" / "phantoms" / "images"
    shutil.copy(films / "phantom-00000.png", films / "phantom-00001.png")
    page.get_by_role("radio", name="Audit").click()
    page.get_by_role("button", name="Audit these films").click()
    copied = "2 films show the same picture but are labelled bacterial and normal"
    finding = page.locator('[data-testid="stVerticalBlock"]').filter(has_text=copied).last
    finding.locator("summary").click()
    page.get_by_role("img", name="normal, phantom-00000.png").wait_for()
    settled(page)
    page.get_by_role("button", name="phantom-00001.png", exact=True).click()
    page.get_by_role("dialog").get_by_text("256 x 256 pixels, PNG").wait_for()


def test_the_facts_of_an_opened_film_stand_beside_it_on_a_narrow_screen(page, server):
    page.set_viewport_size({"width": 800, "height": 900})
    page.goto(f"{server.url}/data")
    page.get_by_text("Films 1 to 24 of 160").wait_for()
    settled(page)
    page.get_by_role("button", name="phantom-00001.png", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("pixels, PNG").wait_for()
    film = dialog.get_by_role("img").bounding_box()
    facts = dialog.locator('[data-testid="stDataFrame"]').bounding_box()
    beside, below = film["x"] + film["width"] <= facts["x"], film["y"] + film["height"] <= facts["y"]
    assert beside or below, (film, facts)
    assert film["width"] == pytest.approx(film["height"], abs=1), "the film is drawn"


def test_a_sentence_about_an_earlier_choice_is_gone_while_a_better_one_is_worked_on(page, server):
    page.goto(f"{server.url}/data")
    page.locator("summary").filter(has_text="Add films").click()
    page.get_by_role("tab", name="Draw phantoms").click()
    page.get_by_label("Films", exact=True).fill("40")
    page.get_by_label("Name", exact=True).fill("../x")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("cannot be a dataset's name").wait_for()
    page.get_by_label("Name", exact=True).fill("better")
    page.get_by_role("button", name="Draw", exact=True).click()
    page.get_by_text("Drawing films:").wait_for()
    assert not page.get_by_text("cannot be a dataset's name").count()
    page.get_by_text("'better' is in the list now.").wait_for(timeout=DRAWING_MS)


def test_a_folder_is_added_by_its_path(page, server, tmp_path):
    draw_phantom_set(tmp_path / "Films of mine", 8, size_px=64)
    page.goto(f"{server.url}/data")
    page.locator("summary").filter(has_text="Add films").click()
    path = page.get_by_role("textbox", name="Path on this machine")
    path.fill(str(tmp_path / "nowhere"))
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(f"There is nothing at {tmp_path / 'nowhere'}. Check the path.").wait_for()
    path.fill(str(tmp_path / "Films of mine"))
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("8 films of 8 patients").wait_for()
    tiles_are_drawn(page, 8)
    assert not path.is_visible()
