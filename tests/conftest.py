"""What every test may use: drawn films, a home of its own, a trained one, the command line, and the real films."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxr.cli.app import main
from cxr.core.access import default_person, identify_with, require_sign_in
from cxr.films.synthetic.phantom import draw_phantom_set
from cxr.jobs import run_store
from tests.support.made_once import made_once
from tests.support.training import carry_out, tiny_recipe

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["CXR_EXAMPLES"] = ""  # those of the project only where a test asks for them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files of few tests first: their tests take longest, and at the end one would keep a single process busy."""
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: tests[item.path])


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 160 drawn films of 64 px, with manifest and masks."""
    return made_once(tmp_path_factory, "phantoms", lambda folder: draw_phantom_set(folder, 160, size_px=64))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models, runs and caches of this test alone."""
    monkeypatch.setenv("CXR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def trained_home(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one model, 'first', of one epoch on the drawn films, and its run. To be copied, not changed."""

    def train(home: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CXR_HOME", str(home))
            carry_out(tiny_recipe(training={"epochs": 1}), [phantoms], "first")

    return made_once(tmp_path_factory, "trained-home", train)


@pytest.fixture(scope="session")
def study_home(phantoms: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished study of four trials on the drawn films. To be copied, not changed."""

    def search(home: Path) -> None:
        from tests.support.studies import carry_out_study

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CXR_HOME", str(home))
            carry_out_study(phantoms)

    return made_once(tmp_path_factory, "study-home", search)


@pytest.fixture
def trained(trained_home: Path, home: Path) -> Path:
    """A home of this test alone with the model 'first' in use."""
    return shutil.copytree(trained_home, home)


@pytest.fixture(scope="session")
def films() -> Path:
    """The folder of real films: CXR_DATA, or shared/data beside the project."""
    folder = Path(os.environ.get("CXR_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("real films are neither in CXR_DATA nor in ../shared/data")
    return folder


@pytest.fixture
def cxr(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls the command line: exit code, standard output, standard error."""

    def call(*words: object) -> tuple[int, str, str]:
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def answer(cxr: Callable[..., tuple[int, str, str]]) -> Callable[..., Any]:
    """What a command prints as JSON, which must be strict, as it ends well."""

    def call(*words: object) -> Any:
        code, out, err = cxr(*words, "--json")
        assert code == 0, err
        return json.loads(out, parse_constant=pytest.fail)

    return call


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of films that no model was trained on: one with test films, one that places none."""

    def draw(folder: Path) -> None:
        draw_phantom_set(folder / "placed", 16, seed=5, size_px=48)
        draw_phantom_set(folder / "loose", 12, seed=6, size_px=48, test_share=0)

    return made_once(tmp_path_factory, "others", draw)


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs that are started get no process: a test carries them out, or says what becomes of them."""
    monkeypatch.setattr(run_store, "start", run_store.create)


@pytest.fixture(autouse=True)
def no_sign_in_required_afterward() -> Iterator[None]:
    """Takes back what a page of this test decided for the whole process, and whom it named."""
    yield
    require_sign_in(False)
    identify_with(default_person)
