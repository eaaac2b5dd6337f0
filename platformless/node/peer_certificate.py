"""The certificate that a server shows when one connects by TLS."""

from __future__ import annotations

import asyncio
import ssl

from cryptography import x509


async def peer_certificate(
    host: str, port: int, context: ssl.SSLContext, seconds: float
) -> x509.Certificate:
    """Connects, and sends nothing. What the context does not demand is not checked.

    Raises:
        OSError, TimeoutError: when no TLS connection comes about; `ssl.SSLCertVerificationError`
            when the context demands a certificate that is vouched for.
        ValueError: when the certificate cannot be read.
    """
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        data = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return x509.load_der_x509_certificate(bytes(data or b""))
