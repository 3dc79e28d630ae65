"""Wrong and odd command lines: each ends at once with one sentence and a meaningful exit code, never a traceback."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cxr.films.synthetic.phantom import draw_phantom_set
from tests.support.command_line import Cxr
from tests.support.small_models import TABLE, random_arrays, small_recipe

PROJECT = Path(__file__).parents[2]
OK, ERROR, USAGE, FILM, DATASET, RECIPE, RUN, REGISTRY, SYSTEM = 0, 1, 2, 3, 4, 5, 6, 7, 9
RUN_ID = "20260101-000000000000-tiny-abcd"
SLOW_S = 60.0  # far more than any of them takes, on a busy machine too

LONG_NAME, LONG_PATH = "x" * 300, "/".join(["x" * 200] * 30)
NOT_UTF8 = os.fsdecode(b"\xff\xfe.png")
TEXT_HISTORY = "epoch,loss\none,two\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home that has a model "m", X-rays, and every kind of path that is not a file."""
    from cxr.registry import package, registry
    from cxr.registry.card import ModelDraft

    folder = tmp_path_factory.mktemp("odd")
    draw_phantom_set(folder / "set", 12, size_px=32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXR_HOME", str(folder / "home"))
        recipe = small_recipe()
        draft = ModelDraft(name="m", classes=("normal", "bacterial", "viral"))
        registry.store(registry.NewModel(draft, recipe, random_arrays(recipe), TABLE))
        package.export_model("m", folder / "m.zip")
    (folder / "text.txt").write_text("hello")
    (folder / "empty").write_bytes(b"")
    (folder / "empty-folder").mkdir()
    (folder / "bad.toml").write_bytes(b"a = \xff")
    (folder / "deep.toml").write_text("a = " + "[" * 40_000)
    (folder / "wide.csv").write_text(",".join(["path", "label", *map(str, range(5000))]) + "\n")
    (folder / "bad.csv").write_bytes(b"path,label\n\xff,normal\n")
    (folder / "short.zip").write_bytes((folder / "m.zip").read_bytes()[:1000])
    (folder / os.fsdecode(b"\xff.zip")).write_bytes(b"no zip")
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own copy of that folder, as the working directory; pipes and sockets cannot be copied."""
    folder = shutil.copytree(template, tmp_path / "place")
    os.mkfifo(folder / "pipe")
    os.mkfifo(folder / "pipe.toml")
    os.mkfifo(folder / "pipe.npz")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(folder)
        server.bind("socket")
    (folder / "loop").symlink_to("loop")
    (folder / "zeros.toml").symlink_to("/dev/zero")
    monkeypatch.setenv("CXR_HOME", str(folder / "home"))
    return folder


@dataclass(frozen=True)
class Odd:
    """A command line, how it must end, and what is wrong with the home before it."""

    line: str | list[str]
    code: int
    damage: Callable[[Path], object] | None = None

    @property
    def words(self) -> list[str]:
        return self.line.split() if isinstance(self.line, str) else self.line

    def __str__(self) -> str:
        return f"{' '.join(self.words)[:60]!a} -> {self.code}"


def writes(path: str, data: bytes | str) -> Callable[[Path], object]:
    """A damage: this file of the home has this content."""

    def damage(home: Path) -> None:
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(data if isinstance(data, bytes) else data.encode())

    return damage


def in_place_of(name: str) -> Callable[[Path], object]:
    """A damage: a file where this folder of the home should be; not even root can write into it."""

    def damage(home: Path) -> None:
        shutil.rmtree(home / name, ignore_errors=True)
        (home / name).write_text("a file")

    return damage


def run_with(**files: bytes | str) -> Callable[[Path], object]:
    """A damage: a run whose folder has these files."""

    def damage(home: Path) -> None:
        folder = home / "runs" / RUN_ID
        folder.mkdir(parents=True)
        job: dict[str, object] = {"recipe_toml": "name = 'tiny'", "datasets": [], "model": None, "fold": None}
        content = {"job_json": json.dumps(job), "status_json": json.dumps({"state": "finished"})} | files
        for name, data in content.items():
            path = folder / name.replace("_", ".")
            path.write_bytes(data if isinstance(data, bytes) else data.encode())

    return damage


def elsewhere(path: str) -> Callable[[Path], object]:
    """A damage: the home is another path."""
    return lambda home: os.environ.__setitem__("CXR_HOME", path)  # restored by the fixture that set it


WRONG_WORDS = [
    *[Odd(line, USAGE) for line in ("nonsense", "--nonsense", "models nonsense", "runs nonsense", "models show")],
    *[Odd(line, USAGE) for line in ("models show m extra", "models export m", "models import", "runs show", "train")],
    *[Odd(line, USAGE) for line in ("train vgg16-default", "train vgg16-default --data", "crossval", "compare m")],
    *[Odd(line, USAGE) for line in ("evaluate", "audit", "phantom", "predict", "audit-model m", "models revise m n")],
    *[Odd(line, USAGE) for line in ("read", "read set", "read set --out", "jobs nonsense", "jobs list --kind odd")],
    *[Odd(line, USAGE) for line in ("phantom out --films 1", "phantom out --films many", "phantom out --size 9999")],
    *[Odd(line, USAGE) for line in ("phantom out --seed -1", "phantom out --shortcut token", "trail --last -1")],
    *[Odd(line, USAGE) for line in ("predict set --age -1", "predict set --age 1e9", "predict set --age old")],
    *[Odd(line, USAGE) for line in ("evaluate --data set --split some", "crossval tiny --data set --folds 0")],
    *[
        Odd(line, USAGE)
        for line in ("compare m m", "compare m m --data set --stored", "models export m x --format exe")
    ],
    Odd("compare m m --stored --split val", USAGE),
    *[Odd(f"evaluate --data set --detach {more}", USAGE) for more in ("--scores x", "--intervals", "--by sex")],
    Odd([""], USAGE),
    Odd(["models", ""], USAGE),
    Odd(["\u202emodels"], USAGE),
    Odd([NOT_UTF8], USAGE),
    Odd(["--data", "x"], USAGE),
]
NAMES = [
    *[Odd(["models", "show", name], REGISTRY) for name in ("", "..", "../m", "/etc", "a/b", "M", "m\n", LONG_NAME)],
    *[Odd(["models", "show", name], REGISTRY) for name in (NOT_UTF8, LONG_PATH, "é", "m ", "-", "~", "$HOME", "*")],
    *[Odd(["models", "promote", name], REGISTRY) for name in ("none", "", "..", LONG_NAME, NOT_UTF8)],
    *[Odd(["models", "delete", name], REGISTRY) for name in ("none", "m", "..", ".", LONG_NAME)],
    *[Odd(["models", "rename", "m", name], REGISTRY) for name in ("m", "", "..", "a/b", LONG_NAME, NOT_UTF8, "M")],
    *[Odd(["models", "rename", name, "new"], REGISTRY) for name in ("none", "..", LONG_PATH)],
    *[Odd(["runs", action, "none"], RUN) for action in ("show", "stop", "resume", "delete")],
    *[Odd(["runs", "show", name], RUN) for name in ("", "..", "../home", LONG_NAME, LONG_PATH, NOT_UTF8)],
    Odd("models rollback", REGISTRY),
    Odd("work none", RUN),
    Odd("models revise m new --set decision.rule", RECIPE),
    Odd("models revise m new --set decision.rule=best", RECIPE),
    Odd("models revise m new --set head.dropout=0.4", RECIPE),
    Odd("models revise none new --set decision.sure=0.9", REGISTRY),
    Odd("compare none m --stored", REGISTRY),
    Odd("slices m --split train", DATASET),
    Odd("evaluate --data set --model none", REGISTRY),
    Odd("audit-model none --data set", REGISTRY),
    Odd("models input-check none --data set", REGISTRY),
    Odd("predict set --model none", REGISTRY),
    Odd("predict set --method guess", ERROR),
]
PATHS = [
    *[
        Odd(["models", "import", path], REGISTRY)
        for path in ("none.zip", "text.txt", "empty", "empty-folder", "pipe", "socket", "loop", "short.zip", ".", "")
    ],
    *[
        Odd(["models", "import", path], REGISTRY)
        for path in ("/dev/zero", "/dev/urandom", "/dev/full", "/dev/null", "/proc", "/proc/self/mem", "/proc/kmsg")
    ],
    *[Odd(["models", "import", path], REGISTRY) for path in (LONG_NAME, LONG_PATH, os.fsdecode(b"\xff.zip"))],
    *[Odd(["models", "import", "m.zip", "--name", name], REGISTRY) for name in ("", "m", "../x", LONG_NAME, NOT_UTF8)],
    *[
        Odd(["models", "describe", "m", path], REGISTRY)
        for path in (
            "none",
            "pipe",
            "socket",
            "/dev/zero",
            "empty-folder",
            "bad.toml",
            "deep.toml",
            LONG_PATH,
            NOT_UTF8,
        )
    ],
    *[
        Odd(["train", path, "--data", "set"], RECIPE)
        for path in ("pipe.toml", "zeros.toml", "none.toml", "bad.toml", "deep.toml", "", "..", LONG_NAME, NOT_UTF8)
    ],
    *[
        Odd(["predict", path], FILM)
        for path in ("none.png", "text.txt", "empty", "empty-folder", "pipe", "socket", "loop", LONG_NAME, LONG_PATH)
    ],
    *[Odd(["predict", path], FILM) for path in ("/dev/zero", "/dev/null", "/proc/self/maps", NOT_UTF8, "")],
    *[
        Odd(["audit", path], DATASET)
        for path in ("none", "text.txt", "empty", "empty-folder", "pipe", "socket", "loop", "wide.csv", "bad.csv")
    ],
    *[Odd(["audit", path], DATASET) for path in ("/dev/zero", "/dev/full", LONG_NAME, LONG_PATH, NOT_UTF8, "m.zip")],
    *[Odd(["evaluate", "--data", path], DATASET) for path in ("none", "pipe", "/dev/zero", LONG_PATH, "text.txt")],
    *[Odd(["train", "vgg16-default", "--data", path], DATASET) for path in ("none", "pipe", "/dev/zero", LONG_PATH)],
]
VALUES = [
    *[
        Odd(["train", "vgg16-default", "--data", "set", "--set", value], RECIPE, in_place_of("runs"))
        for value in (
            *("", "=", "head", "head.dropout=2", "head.dropout=nan", "training.epochs=1e9", "training.batch=0"),
            *("training.seed=-1", f"training.seed={10**30}", "head.dense=[-1]", "head.dense=[1e9]", "a.b.c.d=1"),
            *("trunk.train=block9", "trunk.backbone=vgg99", "data.classes=[1", "head.dropout=" + "[" * 20_000),
            *("trunk.weights=pipe.npz", "trunk.weights=none.npz", f"trunk.weights={LONG_PATH}", "name=../x"),
            *("trunk.weights=/dev/zero", "trunk.weights=empty-folder"),
            *("training.steps_per_epoch=1000000000000", "optimiser.warmup_epochs=1e300", "head.dense=[15000,15000]"),
        )
    ],
    *[
        Odd(["train", "vgg16-default", "--data", "set", "--name", name], REGISTRY, in_place_of("runs"))
        for name in ("m", "..", NOT_UTF8)
    ],
]
OUTPUTS = [
    Odd("models export m pipe", REGISTRY),
    Odd("models export m socket", REGISTRY),
    Odd("models export m empty-folder", REGISTRY),
    Odd("models export m none/m.zip", REGISTRY),
    Odd(["models", "export", "m", LONG_NAME], REGISTRY),
    Odd(["models", "export", "m", LONG_PATH], REGISTRY),
    Odd("models export m /proc/m.zip", REGISTRY),
    Odd("models export none m.zip", REGISTRY),
    Odd("phantom text.txt --films 8", DATASET),
    Odd("phantom /proc/set --films 8", DATASET),
    Odd(["phantom", LONG_PATH, "--films", "8"], SYSTEM),
]
DAMAGED_HOMES = [
    *[Odd(line, OK, writes("models/default.json", "[")) for line in ("models list", "models show m")],
    Odd("models rollback", REGISTRY, writes("models/default.json", "[" * 100_000)),
    Odd("models show m", REGISTRY, writes("models/m/card.json", b"\xff\x00")),
    Odd("models list", OK, writes("models/m/card.json", "{}")),
    Odd("models promote m", REGISTRY, writes("models/m/weights.npz", "PK")),
    Odd("models show m", REGISTRY, writes("models/m/recipe.toml", b"\xff")),
    Odd("compare m m --stored", DATASET, writes("models/m/evaluation.csv", b"\xff\xfe")),
    Odd("models import m.zip --name n", REGISTRY, in_place_of("models")),
    *[Odd(line, OK, in_place_of("models")) for line in ("models list", "models list --json")],
    *[Odd(line, OK, in_place_of("runs")) for line in ("runs list", "runs list --json")],
    *[Odd(line, OK, in_place_of("trail")) for line in ("trail", "trail --json", "models list", "models promote m")],
    Odd("trail", OK, writes("trail/2026-01.jsonl", b"\xff\x00\n{\n[]\n1\n")),
    Odd("trail", OK, lambda home: (home / "trail" / "2026-02.jsonl").mkdir(parents=True)),
    *[
        Odd(f"runs {action}", code, run_with(**{file: content}))
        for file, content, action, code in (
            ("history_csv", TEXT_HISTORY, f"show {RUN_ID}", OK),
            ("history_csv", b"\xff\xfe\x00", f"show {RUN_ID}", OK),
            ("history_csv", "epoch\n1,2,3\n", f"show {RUN_ID} --json", OK),
            ("history_csv", '"' * 300_000, f"show {RUN_ID}", OK),
            ("status_json", "[", f"show {RUN_ID}", OK),
            ("status_json", "[" * 100_000, f"show {RUN_ID}", OK),
            ("status_json", '{"state": 7, "epochs": "many"}', f"show {RUN_ID}", OK),
            ("status_json", '{"done": {}, "total": []}', "list", OK),
            ("status_json", b"\xff", "list --json", OK),
            ("job_json", "{}", f"resume {RUN_ID}", RUN),
            ("log_txt", b"\xff\x00\x1b", f"show {RUN_ID}", OK),
        )
    ],
    *[Odd(line, OK, elsewhere("/proc/none")) for line in ("models list", "runs list", "trail")],
    Odd("models import m.zip", REGISTRY, elsewhere("/proc/none")),
    Odd("models import m.zip", SYSTEM, elsewhere(LONG_PATH)),
    *[Odd(line, OK, elsewhere("text.txt")) for line in ("models list", "runs list", "trail")],
    Odd("train vgg16-default --data set --detach", SYSTEM, elsewhere("text.txt")),
]
LINES = [*WRONG_WORDS, *NAMES, *PATHS, *VALUES, *OUTPUTS, *DAMAGED_HOMES]


def test_there_are_more_than_a_hundred_and_fifty() -> None:
    assert len(LINES) >= 150


@pytest.mark.parametrize("odd", LINES, ids=str)
def test_an_odd_command_line_ends_with_one_sentence_and_its_exit_code(odd: Odd, place: Path, cxr: Cxr) -> None:
    if odd.damage:
        odd.damage(place / "home")
    started = time.monotonic()
    code, out, err = cxr(*odd.words)
    assert (code, "Traceback" in err) == (odd.code, False), err[-2000:]
    assert time.monotonic() - started < SLOW_S
    if code not in (OK, USAGE):
        sentence = err.strip().splitlines()[-1]
        assert sentence.startswith("Error: ")
        assert sentence.endswith((".", ")"))
        assert len(sentence) < 1000
        assert "Unexpected" not in sentence


# In processes of their own, whose standard output is a device or whose disk is full


def run_cxr(words: list[str], limit_bytes: int | None = None, **options: object) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own; with a limit, no file may grow beyond so many bytes."""
    command = [sys.executable, "-m", "cxr", *words]
    if limit_bytes is not None:
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit_bytes}, {limit_bytes}))"
        command = [sys.executable, "-c", f"{limit}; from cxr.cli.app import main; main({words!r})"]
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    return subprocess.run(command, env=environment, timeout=120, check=False, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("line", ["models list", "models show m --json", "--help"])
def test_output_that_cannot_be_written_is_an_error_of_the_system(place: Path, line: str) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = run_cxr(line.split(), stdout=full, stderr=subprocess.PIPE)
    assert ended.returncode == SYSTEM
    assert ended.stderr.decode().startswith("Error: ")
    assert ended.stderr.count(b"\n") == 1


def test_errors_that_cannot_be_written_keep_their_exit_code(place: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        assert run_cxr(["models", "show", "none"], stdout=full, stderr=full).returncode == REGISTRY
        assert run_cxr(["models", "list"], stdout=full, stderr=full).returncode == SYSTEM


def test_a_closed_standard_output_is_no_error(place: Path) -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -m cxr models list >&-"],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (OK, b"")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["models", "import", "m.zip", "--name", "n"], REGISTRY),
        (["models", "export", "m", "out.zip"], REGISTRY),
        (["phantom", "new", "--films", "8"], SYSTEM),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else None,
)
def test_a_full_disk_is_one_sentence_and_leaves_no_part(place: Path, words: list[str], code: int) -> None:
    before = {path.relative_to(place) for path in place.rglob("*")}
    ended = run_cxr(words, limit_bytes=500, capture_output=True)
    assert (ended.returncode, b"Traceback" in ended.stderr) == (code, False), ended.stderr.decode()
    assert ended.stderr.decode().strip().splitlines()[-1].startswith("Error: ")
    after = {path.relative_to(place) for path in place.rglob("*")}
    new = {path for path in after - before if path.parts[0] != "new" and "trail" not in path.parts}
    assert {path for path in new if path.name != ".lock"} == set()
