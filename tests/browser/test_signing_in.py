"""Signing in for real: the browser goes to a provider and comes back as a person with a role."""

import os
import re
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Page

from cxr.core.access import Action, Person
from cxr.ui.predict.examples import EXAMPLES_LABEL
from tests.support.browser import settled
from tests.support.server import Server, serving

if not find_spec("authlib") and not os.environ.get("CI"):
    pytest.skip("signing in needs pip install -r requirements-login.txt", allow_module_level=True)

from joserfc.jwk import RSAKey  # noqa: E402

from tests.support.sign_in_provider import CLIENT, SECRET, Provider, providing  # noqa: E402

ANNA = {"sub": "4711", "email": "anna@hospital.example", "email_verified": True}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing(**ANNA) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(provider: Provider, trained_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that lets in whom the provider vouches for, and makes Anna a trainer."""
    folder = tmp_path_factory.mktemp("guarded")
    secrets = folder / "secrets.toml"
    secrets.write_text(f"""
[auth]
redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
cookie_secret = "a long secret that signs the cookies of this test"
client_id = "{CLIENT}"
client_secret = "{SECRET}"
server_metadata_url = "{provider.url}/.well-known/openid-configuration"

[roles]
trainer = ["anna@hospital.example"]
""")
    shutil.copytree(trained_home, folder / "home")
    with serving(folder / "home", "--secrets.files", str(secrets)) as running:
        yield running


@pytest.mark.parametrize("path", ["", "evaluate", "train", "models", "data", "jobs"])
def test_a_page_shows_nothing_before_a_person_signs_in_by_its_own_address_too(
    page: Page, guarded: Server, path: str
) -> None:
    page.goto(f"{guarded.url}/{path}")
    page.get_by_role("button", name="Sign in").wait_for()
    settled(page)
    assert page.get_by_test_id("stSelectbox").count() == page.get_by_test_id("stFileUploader").count() == 0


def test_a_person_signs_in_does_what_the_role_allows_and_signs_out(page: Page, guarded: Server) -> None:
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("anna@hospital.example, trainer").wait_for()
    page.get_by_text(EXAMPLES_LABEL).wait_for()
    page.get_by_role("button", name=re.compile("^Synthetic: Viral")).click()
    page.get_by_role("button", name="Clear", exact=True).wait_for()
    settled(page)
    page.goto(f"{guarded.url}/models")  # a new visit: the cookie alone says who it is
    page.get_by_text("anna@hospital.example, trainer").wait_for()
    settled(page)
    page.get_by_text("Import model").first.click()
    page.get_by_text(Person("anna@hospital.example", "trainer").denial_reason(Action.IMPORT_MODEL)).first.wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    trail = "".join(path.read_text() for path in (guarded.home / "trail").iterdir())
    assert '"who": "anna@hospital.example", "action": "read X-rays", "model": "tiny"' in trail


def test_signing_out_in_one_tab_ends_the_other_tabs_at_once(page: Page, guarded: Server) -> None:
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("anna@hospital.example, trainer").wait_for()
    cookies = page.context.cookies()
    other = page.context.new_page()
    other.goto(f"{guarded.url}/models")
    other.get_by_text("anna@hospital.example, trainer").wait_for()
    settled(other)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    other.get_by_role("button", name="Sign in").wait_for()  # though nobody touched it
    assert other.get_by_test_id("stSelectbox").count() == 0
    other.close()
    page.context.add_cookies([dict(cookie) for cookie in cookies])  # type: ignore[misc]  # a stolen copy of the sign-in
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.get_by_text("anna@hospital.example").count() == 0


def test_a_person_without_a_role_sees_the_reason(
    page: Page, guarded: Server, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "claims", {"sub": "4712", "email": "bert@hospital.example", "email_verified": True})
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text(Person("bert@hospital.example", None).denial_reason(Action.READ_FILMS)).wait_for()
    assert page.get_by_test_id("stFileUploader").count() == 0


def test_a_token_signed_with_another_key_is_not_accepted(
    page: Page, guarded: Server, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "signed_with", RSAKey.generate_key(2048, {"kid": "one"}))
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{guarded.url}/**")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.get_by_text("anna@hospital.example").count() == 0


def test_a_forged_cookie_is_not_accepted(page: Page, guarded: Server) -> None:
    made_up = '{"is_logged_in":true,"email":"anna@hospital.example"}'
    page.context.add_cookies([{"name": "_streamlit_user", "value": made_up, "url": guarded.url}])
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.get_by_text("anna@hospital.example").count() == 0
