"""What `cxr doctor` shows of stored data, each with its limit, and cleans on request."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from cxr.cli.installation_checks import CheckResult, Level
from cxr.core import audit_trail, paths
from cxr.core.access import Action, authorize
from cxr.core.number_format import gigabytes
from cxr.core.stored_data import MAX_SMALL_CACHE_BYTES, keep_below, remove, stored_bytes

NEARLY_FULL = 0.9  # of a limit
BUILT_AGAIN = "all; cxr look-alikes build builds them again"
COMPUTED_AGAIN = "all; they are computed again when they are needed"


class Kind(StrEnum):
    """Stored data that can be cleaned."""

    features = "features"
    pixels = "pixels"
    audits = "audits"
    engines = "engines"
    look_alikes = "look-alikes"
    runs = "runs"
    responses = "responses"
    trail = "trail"
    drift = "drift"


CACHES = {
    Kind.features: "Features of frozen backbones",
    Kind.pixels: "Decoded X-rays",
    Kind.audits: "Audits of datasets",
    Kind.engines: "Times of engines",
    Kind.look_alikes: "Indexes of look-alikes",
}


@dataclass(frozen=True)
class Store:
    """One kind of stored data: what it is, how much is used of its limit, and how it is cleaned."""

    title: str
    used: float
    limit: float
    text: Callable[[float], str]
    clean: Callable[[], object]
    cleaning: str  # what cleaning deletes

    @property
    def sentence(self) -> str:
        """The amount that is used, and the limit."""
        return f"{self.title}: {self.text(self.used)} of at most {self.text(self.limit)}"


def stores() -> dict[Kind, Store]:
    """Every kind of stored data."""
    from cxr.drift import store as drift_store
    from cxr.evaluation.look_alikes import index as look_alikes
    from cxr.inference import reader_responses
    from cxr.jobs import run_store
    from cxr.learning.feature_store import CACHE_BYTES

    small = dict.fromkeys(("audits", "engines"), MAX_SMALL_CACHE_BYTES)
    limits = CACHE_BYTES | small | {look_alikes.FOLDER: look_alikes.MAX_BYTES}
    found = {
        kind: Store(
            title,
            stored_bytes(paths.cache_dir() / kind),
            limits[kind],
            gigabytes,
            partial(remove, paths.cache_dir() / kind),
            BUILT_AGAIN if kind == Kind.look_alikes else COMPUTED_AGAIN,
        )
        for kind, title in CACHES.items()
    }
    found[Kind.runs] = Store(
        "Jobs",
        stored_bytes(paths.runs_dir()),
        run_store.MAX_BYTES,
        gigabytes,
        _clean_runs,
        "all that have ended, with their checkpoints; models stay",
    )
    found[Kind.responses] = Store(
        "Reader responses",
        len(reader_responses.saved_responses()),
        reader_responses.MAX_RESPONSES,
        lambda count: f"{count:,.0f}",
        partial(remove, reader_responses.responses_file()),
        "all",
    )
    found[Kind.trail] = Store(
        "Audit trail",
        stored_bytes(paths.trail_dir()),
        audit_trail.MAX_BYTES,
        gigabytes,
        _clean_trail,
        "all but the newest file",
    )
    found[Kind.drift] = Store(
        "Drift watch",
        stored_bytes(paths.drift_dir()),
        drift_store.MAX_BYTES,
        gigabytes,
        partial(remove, paths.drift_dir()),
        "all counts, and what they were compared with",
    )
    return found


def stored_data() -> Iterator[CheckResult]:
    """Each kind of stored data that is near its limit; or one result with all of them."""
    found = stores()
    for kind, store in found.items():
        if store.used > NEARLY_FULL * store.limit:
            remedy = f"cxr doctor --clean {kind} deletes {store.cleaning}."
            yield CheckResult("stored data", Level.WARNING, f"{store.sentence}.", remedy, f"nearly-full-{kind}")
    sentence = "; ".join(store.sentence for store in found.values())
    yield CheckResult("stored data", Level.OK, f"{sentence}.")


def clean(kind: Kind) -> str:
    """Clean one kind of stored data and return what was done, in a sentence."""
    before = stores()[kind]
    authorize(Action.DELETE_RUN)
    before.clean()
    after = stores()[kind]
    return f"{before.title}: {before.text(before.used)} before, {after.text(after.used)} now."


def _clean_runs() -> None:
    from cxr.jobs import run_store

    for run in run_store.all_runs():
        if not run.status.alive:
            run_store.delete(run)


def _clean_trail() -> None:
    files = sorted(paths.trail_dir().glob("*.jsonl"))
    keep_below(files, 0, kept=files[-1:])
