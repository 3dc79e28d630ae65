"""The DICOM service that receives X-rays (C-STORE): from configured callers, within limits, straight into the spool."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cxr.core.errors import ExchangeError
from cxr.exchange.listener.spool import Spool
from cxr.exchange.pacs.configuration import ListenerSettings
from cxr.films.header_limits import MAX_BYTES

if TYPE_CHECKING:
    from pynetdicom.transport import ThreadedAssociationServer

SUCCESS, OUT_OF_RESOURCES, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xC000
NETWORK_LIMIT_S, ASSOCIATION_LIMIT_S = 60, 30
MAX_PDU_BYTES = 1 << 18
_SLACK_BYTES = 1 << 20  # of a message, beside its file
_CR, _DX, _DX_RAW, _ECHO = (
    *("1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1.1"),
    "1.2.840.10008.1.1",
)
log = logging.getLogger("cxr.listen")
NOT_INSTALLED = "Receiving X-rays needs packages that are not installed: pip install -r requirements-dicom.txt"


def require_receiver() -> None:
    """ExchangeError, with what to install, where a package is missing."""
    if importlib.util.find_spec("pynetdicom") is None:
        raise ExchangeError(NOT_INSTALLED, code="not-installed")


class Receiver:
    """The running service."""

    def __init__(
        self, settings: ListenerSettings, spool: Spool, received: Callable[[], None], most: int = MAX_BYTES
    ) -> None:
        require_receiver()
        self._spool, self._received, self._most = spool, received, most
        self._pending: dict[Any, int] = {}  # bytes of the message that each association is sending
        self._server = self._started(settings)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """End the service; what was acknowledged is in the spool."""
        self._server.shutdown()

    def _started(self, settings: ListenerSettings) -> ThreadedAssociationServer:
        from pynetdicom import AE, evt

        logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)  # its lines have numbers of patients' studies
        entity = AE(settings.ae_title)
        syntaxes = _readable_syntaxes()
        for storage in (_CR, _DX, _DX_RAW):
            entity.add_supported_context(storage, syntaxes)
        entity.add_supported_context(_ECHO)
        entity.require_calling_aet = list(settings.callers)
        entity.require_called_aet = True
        entity.maximum_associations = settings.max_associations
        entity.maximum_pdu_size = MAX_PDU_BYTES
        entity.network_timeout = NETWORK_LIMIT_S
        entity.acse_timeout = entity.dimse_timeout = ASSOCIATION_LIMIT_S
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_DATA_RECV, self._count),
            (evt.EVT_CONN_CLOSE, self._forget),
        ]
        try:
            server = entity.start_server((settings.address, settings.port), block=False, evt_handlers=handlers)
        except OSError as error:
            raise ExchangeError(
                f"Cannot listen on {settings.address}:{settings.port}: {error.strerror}.", code="address"
            ) from error
        assert server is not None
        return server

    def _store(self, event: Any) -> int:
        """Put the file into the spool as it came; its status is success only when it is on the disk."""
        self._pending.pop(event.assoc, None)
        try:
            data = event.encoded_dataset()
            if len(data) > self._most:
                return OUT_OF_RESOURCES
            self._spool.add(data)
        except (ExchangeError, OSError, MemoryError) as error:
            log.warning("refused an X-ray (%s)", error.code if isinstance(error, ExchangeError) else "storage")
            return OUT_OF_RESOURCES
        except Exception:  # a message without what it needs
            return CANNOT_UNDERSTAND
        self._received()
        return SUCCESS

    def _count(self, event: Any) -> None:
        """Abort an association that sends more than a file may have before its message ends."""
        size = self._pending.get(event.assoc, 0) + len(event.data)
        self._pending[event.assoc] = size
        if size > self._most + _SLACK_BYTES:
            event.assoc.abort()

    def _forget(self, event: Any) -> None:
        self._pending.pop(event.assoc, None)


def _readable_syntaxes() -> list[str]:
    """The transfer syntaxes that can be decoded here; a sender converts to one of them."""
    from pydicom.pixels import get_decoder

    from cxr.films.dicom_decoders import DECODERS, UNCOMPRESSED

    plain = [str(uid) for uid in UNCOMPRESSED]
    return plain + [str(uid) for uid, plugin in DECODERS.items() if plugin in get_decoder(uid).available_plugins]
