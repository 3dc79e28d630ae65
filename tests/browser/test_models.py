"""The shelf in a browser: a model is renamed, carried away in a file, deleted and taken in again."""

from contextlib import suppress

from playwright.sync_api import expect

from tests.support.browser import settled

EXPORT_MS = 60_000


def test_a_model_is_renamed_exported_deleted_and_imported_again(page, server, tmp_path):
    page.goto(f"{server.url}/models")
    settled(page)
    rename(page, "carried")
    expect(page.get_by_text("'tiny' is now 'carried'.")).to_be_visible()
    assert "model=carried" in page.url
    expect(page.get_by_text("This model is in use.")).to_be_visible()  # and so it cannot be deleted
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)

    page.get_by_role("button", name="Prepare the file").click()
    with page.expect_download(timeout=EXPORT_MS) as download:
        page.get_by_role("button", name="Download carried.zip").click(timeout=EXPORT_MS)
    parcel = tmp_path / "carried.zip"
    download.value.save_as(parcel)
    settled(page)
    expect(page.get_by_role("button", name="Download carried.zip")).to_be_visible()

    take_in(page, parcel, "second")
    expect(page.get_by_test_id("stToast")).to_be_in_viewport(timeout=EXPORT_MS)
    expect(page.get_by_test_id("stAlert").get_by_text("'second' is on the shelf")).to_be_visible()
    expect(page.get_by_role("button", name="Put into use")).to_be_visible()
    assert "model=second" in page.url
    page.reload()  # the address is a link to this card
    expect(page.get_by_role("button", name="Put into use")).to_be_visible()

    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("button", name="Delete 'second' for good").click()
    expect(page.get_by_text("'second' is deleted.")).to_be_visible()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("carried (in use)")
    expect(page.get_by_text("There is no model")).to_have_count(0)
    assert "model=second" not in page.url

    take_in(page, parcel, "")
    expect(page.get_by_text("There is already a model 'carried' on the shelf.")).to_be_visible(timeout=EXPORT_MS)


def rename(tab, name):
    tab.get_by_role("button", name="Rename").click()
    tab.get_by_label("New name").fill(name)
    tab.get_by_label("New name").press("Enter")
    settled(tab)
    tab.get_by_role("button", name="Rename it").click()


def take_in(tab, path, name):
    settled(tab)
    if not tab.get_by_role("button", name="Import it").is_visible():
        tab.get_by_text("Take in a model from a file").click()
    for _ in range(3):  # a file that comes while its place is made anew is lost
        tab.locator('input[type="file"]').set_input_files(path)
        with suppress(AssertionError):
            expect(tab.get_by_role("button", name="Import it")).to_be_enabled(timeout=10_000)
            break
    if name:
        tab.get_by_label("Under another name").fill(name)
        tab.get_by_label("Under another name").press("Enter")
    settled(tab)
    expect(tab.get_by_role("button", name="Import it")).to_be_enabled()
    tab.get_by_role("button", name="Import it").click()


def test_a_link_to_a_model_that_is_gone_says_so(page, server):
    page.goto(f"{server.url}/models?model=nobody")
    expect(page.get_by_text("There is no model 'nobody' on the shelf")).to_be_visible()
