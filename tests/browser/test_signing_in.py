"""Signing in for real: the browser goes to a provider and comes back as somebody with a role."""

import os
import shutil
from importlib.util import find_spec

import pytest

from tests.support.browser import settled
from tests.support.server import serving

if not find_spec("authlib") and not os.environ.get("CI"):
    pytest.skip("signing in needs pip install -r requirements-login.txt", allow_module_level=True)

from joserfc.jwk import RSAKey  # noqa: E402

from tests.browser.provider import CLIENT, SECRET, providing  # noqa: E402

ANNA = {"sub": "4711", "email": "anna@hospital.example", "email_verified": True}


@pytest.fixture(scope="module")
def provider():
    with providing(**ANNA) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(provider, trained_home, tmp_path_factory):
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


@pytest.mark.parametrize("path", ["", "evaluate", "train", "models", "data"])
def test_by_its_own_address_too_a_page_shows_nothing_before_one_signs_in(page, guarded, path):
    page.goto(f"{guarded.url}/{path}")
    page.get_by_role("button", name="Sign in").wait_for()
    settled(page)
    assert page.get_by_test_id("stSelectbox").count() == page.get_by_test_id("stFileUploader").count() == 0


def test_one_signs_in_sees_what_the_role_may_and_signs_out(page, guarded):
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("anna@hospital.example, trainer").wait_for()
    page.get_by_text("Or read an example").wait_for()
    page.get_by_role("button", name="Drawn film, viral").click()
    page.get_by_role("button", name="Clear the film").wait_for()
    settled(page)
    page.goto(f"{guarded.url}/models")  # a new visit: the cookie alone says who it is
    page.get_by_text("anna@hospital.example, trainer").wait_for()
    settled(page)
    page.get_by_text("Take in a model from a file").click()
    page.get_by_text(
        'You need the role "admin" to import a model. anna@hospital.example has the role "trainer".'
    ).wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in").wait_for()
    trail = "".join(path.read_text() for path in (guarded.home / "trail").iterdir())
    assert '"who": "anna@hospital.example", "action": "read X-rays", "model": "tiny"' in trail


def test_who_has_no_role_is_told_so(page, guarded, provider, monkeypatch):
    monkeypatch.setattr(provider, "claims", {"sub": "4712", "email": "bert@hospital.example"})
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("bert@hospital.example has no role.").wait_for()
    assert page.get_by_test_id("stFileUploader").count() == 0


def test_what_another_key_signed_is_not_believed(page, guarded, provider, monkeypatch):
    monkeypatch.setattr(provider, "signed_with", RSAKey.generate_key(2048, {"kid": "one"}))
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{guarded.url}/**")
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.get_by_text("anna@hospital.example").count() == 0


def test_a_cookie_that_was_made_up_is_not_believed(page, guarded):
    made_up = '{"is_logged_in":true,"email":"anna@hospital.example"}'
    page.context.add_cookies([{"name": "_streamlit_user", "value": made_up, "url": guarded.url}])
    page.goto(guarded.url)
    page.get_by_role("button", name="Sign in").wait_for()
    assert page.get_by_text("anna@hospital.example").count() == 0
