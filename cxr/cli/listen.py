"""`cxr listen`: receive X-rays by the DICOM protocol and answer them with their results."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from cxr import DISCLAIMER
from cxr.cli import console
from cxr.cli.options import Json, Model
from cxr.core.errors import ExchangeError
from cxr.core.number_format import counted

if TYPE_CHECKING:
    from cxr.exchange.listener.spool import Spool
    from cxr.exchange.pacs.configuration import ListenerSettings


def listen(
    model: Model = None,
    status: Annotated[bool, typer.Option("--status", help="Show what waits and what was set aside, and end.")] = False,
    retry: Annotated[bool, typer.Option("--retry", help="Take back what was set aside, and listen.")] = False,
    as_json: Json = False,
) -> None:
    """Receive X-rays by C-STORE, read them, and send their results where pacs.toml says (docs/pacs.md)."""
    from cxr.exchange.listener.spool import Spool
    from cxr.exchange.pacs.configuration import load_settings

    settings = load_settings().listener
    if settings is None:
        raise ExchangeError("pacs.toml has no section [listener]: see docs/pacs.md.", code="no-listener")
    spool = Spool(settings.max_waiting, settings.max_spool_mb)
    if status:
        _show_status(spool, as_json)
        return
    if retry:
        typer.echo(f"Took back {counted(spool.retry(), 'X-ray')}.")
    _serve(settings, spool, model)


def _show_status(spool: Spool, as_json: bool) -> None:
    waiting, failures = len(spool.waiting()), spool.failures()
    if as_json:
        console.print_json({"waiting": waiting, "set_aside": failures})
        return
    typer.echo(f"{counted(waiting, 'X-ray')} waiting, {len(failures)} set aside.")
    for name, code in failures.items():
        typer.echo(f"  {name}: {code}")


def _serve(settings: ListenerSettings, spool: Spool, model: str | None) -> None:
    """Listen until the process is told to stop; one process for each spool."""
    from filelock import FileLock, Timeout

    from cxr.exchange.dicom_results.writing import require_installed, result_writer
    from cxr.exchange.listener.answering import Answering, reading_with
    from cxr.exchange.listener.receiver import Receiver, require_receiver
    from cxr.exchange.listener.sending import sender
    from cxr.inference.loading import load_classifier

    require_receiver()
    require_installed()
    send = sender(settings)
    stopped, received = threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        stopped.set()
        received.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    try:
        with FileLock(spool.folder / ".lock", timeout=0):
            spool.recover()
            read = reading_with(load_classifier(model))
            answering = Answering(spool, read, result_writer().write, send, settings.objects, settings.attempts)
            receiver = Receiver(settings, spool, received.set)
            typer.echo(f"Listening as {settings.ae_title} on {settings.address}:{receiver.port}. {DISCLAIMER}")
            try:
                answering.run(stopped, received)
            finally:
                receiver.stop()
    except Timeout:
        raise ExchangeError("Another process listens with this spool.", code="spool-in-use") from None
    typer.echo(f"Answered {counted(answering.answered, 'X-ray')}; {len(spool.waiting())} waiting.")
