"""Where results go: to the PACS by DICOMweb, or to a node by C-STORE."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from cxr.core.access import Action
from cxr.core.audit_trail import audited
from cxr.core.errors import ExchangeError
from cxr.exchange.dicom_results.object_kinds import DicomObject
from cxr.exchange.pacs.client import PacsClient
from cxr.exchange.pacs.configuration import DicomNode, ListenerSettings

Send = Callable[[Sequence[DicomObject]], None]
_WARNINGS = (0xB000, 0xB006, 0xB007)  # stored, with elements that were changed
_TIMEOUT_S = 30
_CLASSES = {
    "structured-report": "1.2.840.10008.5.1.4.1.1.88.34",
    "secondary-capture": "1.2.840.10008.5.1.4.1.1.7",
    "report-pdf": "1.2.840.10008.5.1.4.1.1.104.1",
    "presentation-state": "1.2.840.10008.5.1.4.1.1.11.1",
    "heatmap": "1.2.840.10008.5.1.4.1.1.30",
}


def sender(settings: ListenerSettings) -> Send:
    """The function that sends results where the settings say; ExchangeError where they name no place."""
    if settings.answer_to == "dicomweb":
        return PacsClient.configured().store
    if settings.node is None:
        raise ExchangeError("pacs.toml answers to a node and has no [listener.node].", code="configuration")
    node, own_title = settings.node, settings.ae_title
    return lambda objects: send_to_node(node, own_title, objects)


def send_to_node(node: DicomNode, own_title: str, objects: Sequence[DicomObject]) -> None:
    """Send the objects by C-STORE; ExchangeError where one is not stored."""
    from pynetdicom import AE

    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    with audited(Action.SEND_TO_PACS, more=", ".join(item.kind for item in objects)):
        entity = AE(own_title)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = _TIMEOUT_S
        for kind in dict.fromkeys(item.kind for item in objects):
            entity.add_requested_context(_CLASSES[kind], "1.2.840.10008.1.2.1")
        association = entity.associate(node.host, node.port, ae_title=node.ae_title)
        if not association.is_established:
            raise ExchangeError(f"The node {node.ae_title} cannot be reached, or refuses us.", code="unreachable")
        try:
            for item in objects:
                _send(association, item)
        finally:
            association.release()


def _send(association: Any, item: DicomObject) -> None:
    from pydicom import dcmread

    try:
        status = association.send_c_store(dcmread(BytesIO(item.data)))  # its elements pass undecoded
    except (ValueError, RuntimeError):  # no context for it was accepted, or the association has ended
        raise ExchangeError(
            f"The node does not take the {item.kind}, or ended the association.", code="not-accepted"
        ) from None
    code = status.get("Status") if status else None
    if code != 0 and code not in _WARNINGS:
        raise ExchangeError(f"The node did not store the {item.kind}.", code="not-stored")
