"""When the TLS certificate ends that clients of the node's public address get."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from ...closing import AsyncClosing, ended
from ..peer_certificate import peer_certificate

log = logging.getLogger(__name__)
CHECK_SECONDS = 3600.0
AGAIN_SECONDS = 60.0
"""When the certificate could not be had."""
_ANSWER_SECONDS = 10.0
_TLS_PORT = 443


@dataclass(frozen=True, slots=True)
class Expiry:
    """Unix times in seconds."""

    expires_at: float
    asked_at: float


async def expiry_of(public_url: str) -> Expiry:
    """Asks the address for its certificate. One that has expired, or that nobody vouches for, is
    read as well: it is only looked at, and nothing is sent.

    Raises:
        OSError, TimeoutError: when there is no such answer.
        ValueError: when the address or the certificate cannot be read.
    """
    parts = urlsplit(public_url)
    host = parts.hostname
    if host is None:
        raise ValueError("no host name")
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    shown = await peer_certificate(host, parts.port or _TLS_PORT, context, _ANSWER_SECONDS)
    expires = shown.not_valid_after_utc
    return Expiry(expires.timestamp(), time.time())


def has_certificate(public_url: str) -> bool:
    """Whether clients come by TLS."""
    return public_url.lower().startswith(("https://", "wss://"))


class CertificateWatch(AsyncClosing):
    """Asks in the background, every hour. What was told stands until another is.

    Args:
        public_url: An address without TLS is never asked.
    """

    def __init__(
        self,
        public_url: str,
        check_seconds: float = CHECK_SECONDS,
        again_seconds: float = AGAIN_SECONDS,
    ) -> None:
        self._url = public_url
        self._check_seconds = check_seconds
        self._again_seconds = again_seconds
        self._known: Expiry | None = None
        self._failing = False
        self._task = asyncio.create_task(self._run()) if has_certificate(public_url) else None

    @property
    def known(self) -> Expiry | None:
        """None when the address has no certificate, or has not answered yet."""
        return self._known

    async def close(self) -> None:
        await ended(self._task)

    async def _run(self) -> None:
        while True:
            try:
                self._known = await expiry_of(self._url)
                self._failing = False
            except (OSError, ValueError) as error:
                if not self._failing:
                    log.warning("the certificate of %s cannot be had: %s", self._url, error)
                self._failing = True
            await asyncio.sleep(self._again_seconds if self._failing else self._check_seconds)


def certificate_families(known: Expiry | None) -> Iterator[Metric]:
    """As Prometheus names it; nothing when nothing is known."""
    if known is None:
        return
    yield GaugeMetricFamily(
        "platformless_certificate_expiry_timestamp_seconds",
        "When the certificate of PUBLIC_URL ends.",
        value=known.expires_at,
    )
    yield GaugeMetricFamily(
        "platformless_certificate_asked_timestamp_seconds",
        "When the certificate was last asked for.",
        value=known.asked_at,
    )
