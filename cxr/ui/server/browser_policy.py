"""Headers that tell a browser what these pages may load and who may frame them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import streamlit
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
STREAMLIT_PAGE = Path(streamlit.__file__).parent / "static" / "index.html"


class BrowserPolicy:
    """Adds the headers that tell a browser what these pages may load, and that no other page may frame them."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self.app, self.headers = app, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and the answer with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers[name] = value
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


def security_headers(*inline_html: str) -> dict[str, str]:
    """The headers of every answer. Scripts are this server's files, and those in Streamlit's page and in this HTML."""
    scripts = [script for html in (STREAMLIT_PAGE.read_text("utf-8"), *inline_html) for script in _scripts(html)]
    policy = {
        "default-src": "'self'",
        "script-src": " ".join(["'self'", "blob:", *map(_hash, scripts)]),
        "style-src": "'self' 'unsafe-inline'",  # Streamlit, its tables and Plotly write styles while they draw
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "media-src": "'self' data: blob:",
        "connect-src": "'self'",
        "worker-src": "'self' blob:",
        "frame-src": "'none'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Frame-Options": "DENY",  # for browsers that do not know frame-ancestors
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }


def _scripts(html: str) -> list[str]:
    return INLINE_SCRIPT.findall(html)


def _hash(script: str) -> str:
    """The source expression that allows this inline script alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
