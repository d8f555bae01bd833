"""Reads one small file of the repository, and writes one to the daemon."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from repod import __version__
from repod.hosts.agent.repofile import Source
from repod.hosts.faults import Unreachable, WrongUse

LARGEST = 4 << 20
_AGENT = f"repod-agent/{__version__}"


def fetch(source: Source, name: str, timeout: float) -> bytes:
    """The file ``name`` below the repository's URL; ``Unreachable`` says why it is not had."""
    url = source.url + name
    asked = urllib.request.Request(url, headers={"User-Agent": _AGENT, "Cache-Control": "no-cache"})  # noqa: S310
    if source.user:
        # Not handed on where the answer is a redirection, as to a signed link of a bucket.
        pair = base64.b64encode(f"{source.user}:{source.password}".encode()).decode()
        asked.add_unredirected_header("Authorization", f"Basic {pair}")
    data = _ask(asked, source, timeout)
    if len(data) > LARGEST:
        msg = f"{url}: expected at most {LARGEST} bytes, found more"
        raise Unreachable(msg)
    return data


def put(url: str, body: Mapping[str, Any], token: str, source: Source, timeout: float) -> None:
    """Send ``body`` to the daemon; ``Unreachable`` says why it was not taken."""
    headers = {"User-Agent": _AGENT, "Content-Type": "application/json"}
    asked = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers, method="PUT")  # noqa: S310
    asked.add_unredirected_header("Authorization", f"Bearer {token}")
    _ask(asked, source, timeout)


def _ask(asked: urllib.request.Request, source: Source, timeout: float) -> bytes:
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=_context(source)), *_proxies(source))
    try:
        with opener.open(asked, timeout=timeout) as answer:
            found: bytes = answer.read(LARGEST + 1)
            return found
    except urllib.error.HTTPError as error:
        with error:
            msg = f"{asked.full_url}: expected an answer 200, found {error.code} {error.reason}"
        raise Unreachable(msg) from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        msg = f"{asked.full_url}: cannot be reached ({reason})"
        raise Unreachable(msg) from error


def _proxies(source: Source) -> list[urllib.request.BaseHandler]:
    return [urllib.request.ProxyHandler({"http": source.proxy, "https": source.proxy})] if source.proxy else []


def _context(source: Source) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=source.ca or None)
        if source.certificate:
            context.load_cert_chain(source.certificate, source.certificate_key or None)
    except (OSError, ssl.SSLError) as error:
        msg = f"certificates of the repository cannot be read ({error}); see sslcacert and sslclientcert"
        raise WrongUse(msg) from error
    if not source.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
