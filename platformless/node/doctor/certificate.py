"""The TLS certificate at PUBLIC_URL, as a client that comes there would judge it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..peer_certificate import peer_certificate
from .finding import Finding, error, ok, skipped, warning
from .shared import Subject

LEAST_DAYS = 30
_SECONDS = 5.0
_DAY_SECONDS = 86_400
_EXPIRED = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NAME = "certificate"
_RENEW = "renew it, and have it renewed by itself (certbot, caddy)"


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate that a server shows, and what a client has against it."""

    subject: str
    expires: datetime
    refusal: str
    """Empty when a client accepts it."""
    is_expired: bool


async def check_certificate(subject: Subject) -> list[Finding]:
    """Chain, host name and remaining days."""
    url = subject.settings.public_url
    if not url:
        return [skipped(_NAME, "PUBLIC_URL is not set")]
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port = None, 0
    if not host or parts.scheme not in ("http", "https"):
        advice = "write it as https://node.example.com"
        return [error(_NAME, f"PUBLIC_URL {url} is no web address", advice)]
    if parts.scheme == "http":
        says = "PUBLIC_URL is http://: prompts in the clear can be read on their way"
        advice = "serve https:// by a proxy with a certificate; web pages reach no other node"
        return [warning(_NAME, says, advice)]
    try:
        found = await shown_at(host, port)
    except (OSError, TimeoutError, ValueError) as problem:
        says = f"nobody answers with TLS at {host}:{port}: {str(problem) or 'no answer in time'}"
        advice = "start the proxy; some routers do not lead back to their own public address"
        return [warning(_NAME, says, advice)]
    return [judged(found, host, subject.machine.clock())]


def judged(found: Shown, host: str, now: float) -> Finding:
    """Args:
    now: Unix time in seconds.
    """
    days = (found.expires.timestamp() - now) / _DAY_SECONDS
    until = found.expires.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    if found.is_expired or days < 0:
        return error(_NAME, f"that of {host} ended on {until}", _RENEW)
    if found.refusal:
        advice = "serve the full chain of a certificate for this name that browsers trust"
        says = f"clients refuse that of {host} ({found.subject}): {found.refusal}"
        return error(_NAME, says, advice)
    says = f"that of {host} is good for {days:.0f} days, until {until}"
    return warning(_NAME, says, _RENEW) if days < LEAST_DAYS else ok(_NAME, says)


async def shown_at(host: str, port: int) -> Shown:
    """Raises:
    OSError, TimeoutError: when no TLS connection comes about, whatever the certificate.
    ValueError: when the certificate cannot be read.
    """
    trusting = ssl.create_default_context()
    try:
        certificate = await peer_certificate(host, port, trusting, _SECONDS)
        refusal, code = "", 0
    except ssl.SSLCertVerificationError as problem:
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        certificate = await peer_certificate(host, port, trusting, _SECONDS)
        refusal, code = problem.verify_message.rstrip("."), problem.verify_code
    return Shown(
        certificate.subject.rfc4514_string() or "no subject",
        certificate.not_valid_after_utc,
        refusal,
        code == _EXPIRED,
    )
