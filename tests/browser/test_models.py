"""The page Models in a browser: a model is renamed, exported, deleted and imported again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from playwright.sync_api import Page, expect

from cxr.ui.models.actions import DELETED, IS_DEFAULT, RENAMED
from cxr.ui.models.exchange_panel import NOW_IN_REGISTRY
from tests.support.browser import settled
from tests.support.server import Server

EXPORT_MS = 60_000


def test_a_model_is_renamed_exported_deleted_and_imported_again(page: Page, server: Server, tmp_path: Path) -> None:
    page.goto(f"{server.url}/models")
    settled(page)
    rename(page, "carried")
    expect(page.get_by_text(RENAMED.format("tiny", "carried"))).to_be_visible()
    assert "model=carried" in page.url
    expect(page.get_by_text(IS_DEFAULT)).to_be_visible()  # and so it cannot be deleted
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)

    page.get_by_role("button", name="Prepare file").click()
    with page.expect_download(timeout=EXPORT_MS) as download:
        page.get_by_role("button", name="Download carried.zip").click(timeout=EXPORT_MS)
    exported = tmp_path / "carried.zip"
    download.value.save_as(exported)
    settled(page)
    expect(page.get_by_role("button", name="Download carried.zip")).to_be_visible()

    import_model(page, exported, "second")
    expect(page.get_by_test_id("stToast")).to_be_in_viewport(timeout=EXPORT_MS)
    expect(page.get_by_test_id("stAlert").get_by_text(NOW_IN_REGISTRY.format("second"))).to_be_visible()
    expect(page.get_by_role("button", name="Set as default")).to_be_visible()
    assert "model=second" in page.url
    page.reload()  # the address is a link to this card
    expect(page.get_by_role("button", name="Set as default")).to_be_visible()

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_text(DELETED.format("second"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("carried (default)")
    expect(page.get_by_text("There is no model")).to_have_count(0)
    assert "model=second" not in page.url

    import_model(page, exported, "")
    expect(page.get_by_test_id("stAlert").get_by_text("carried")).to_be_visible(timeout=EXPORT_MS)


def rename(tab: Page, name: str) -> None:
    tab.get_by_role("button", name="Rename").click()
    tab.get_by_label("New name").fill(name)
    tab.get_by_label("New name").press("Enter")
    settled(tab)
    tab.get_by_role("button", name="Rename model").click()


def import_model(tab: Page, path: Path, name: str) -> None:
    settled(tab)
    button = tab.get_by_role("button", name="Import", exact=True)
    if not button.is_visible():
        tab.get_by_text("Import model").click()
    for _ in range(3):  # a file that comes while its place is rebuilt is lost
        tab.locator('input[type="file"]').set_input_files(path)
        with suppress(AssertionError):
            expect(button).to_be_enabled(timeout=10_000)
            break
    if name:
        tab.get_by_label("Import as (optional)").fill(name)
        tab.get_by_label("Import as (optional)").press("Enter")
    settled(tab)
    expect(button).to_be_enabled()
    button.click()


def test_an_address_of_a_missing_model_shows_a_warning(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/models?model=nobody")
    expect(page.get_by_test_id("stAlert").get_by_text("nobody")).to_be_visible()
