"""HTTP to one portal: addresses, the token, time limits, redirects, and failures by name.

The token goes to the portal's own origin and nowhere else. Cookies are not kept. Bodies are taken
as they are sent; content codings are neither asked for nor decoded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx

from .answers import REDIRECTS, Answer, next_address, quoted, refusal, same_origin, shown
from .errors import (
    BadSettings,
    BodyTruncated,
    PortalTooSlow,
    PortalUnreachable,
    RedirectRefused,
    RemoteError,
    UnusableReply,
)

_log = logging.getLogger(__name__)
_CONNECTIONS = 32


@dataclass(frozen=True, slots=True)
class WireSettings:
    """How patient one request is, and how much of an answer is read."""

    connect_seconds: float = 5.0
    silence_seconds: float = 20.0
    """The longest time in which no byte comes or goes."""
    request_seconds: float = 30.0
    """A whole small request. One with a blob gets the blob's time on top."""
    least_bytes_per_second: int = 64 * 1024
    """A portal that is slower with a blob has failed."""
    longest_answer_bytes: int = 64 * 1024
    """Of an answer that is not a blob."""
    most_redirects: int = 5

    def seconds_for(self, size: int) -> float:
        """The time limit of a request with `size` bytes in its body or its answer."""
        return self.request_seconds + size / self.least_bytes_per_second


class Wire:
    """Sends requests to one portal.

    Args:
        url: The portal's address, http or https, without user, query and fragment.
        token: Bearer token; None for a public portal.

    Raises:
        BadSettings
    """

    def __init__(
        self, url: str, *, token: str | None = None, settings: WireSettings | None = None
    ) -> None:
        self.settings = settings or WireSettings()
        self.token = token
        self._base = _base(url)
        if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
            raise BadSettings("a portal's token has characters that no header may have")
        self._client = httpx.AsyncClient(
            headers={"accept-encoding": "identity", "user-agent": "platformless"},
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            follow_redirects=False,
            event_hooks={"response": [_check_redirect]},
            limits=httpx.Limits(
                max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS
            ),
            timeout=httpx.Timeout(
                connect=self.settings.connect_seconds,
                read=self.settings.silence_seconds,
                write=self.settings.silence_seconds,
                pool=None,
            ),
        )

    @property
    def url(self) -> str:
        return str(self._base).rstrip("/")

    async def close(self) -> None:
        """Closes every connection."""
        await self._client.aclose()

    def address(self, path: str) -> httpx.URL:
        """The address of a path of the portal's API, which begins with a slash."""
        return httpx.URL(self.url + path)

    async def ask(
        self,
        method: str,
        to: str | httpx.URL,
        *,
        content: bytes | AsyncIterable[bytes] | None = None,
        size: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Sends a request and reads its small answer, of whatever status.

        Args:
            to: A path of the API, or a whole address.
            size: Bytes of the content.

        Raises:
            PortalUnreachable, PortalTooSlow, RedirectRefused, BodyTruncated
            UnusableReply: when the answer is too long.
        """
        url = self.address(to) if isinstance(to, str) else to
        sent = dict(headers or {})
        if size is not None:
            sent["content-length"] = str(size)
        async with (
            self.within(size or 0),
            self._opened(method, url, content=content, headers=sent) as response,
        ):
            return await self.read(response)

    @asynccontextmanager
    async def open(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Sends a request without a body, follows redirects, and stops before the answer's body.

        Raises:
            PortalUnreachable
            PortalTooSlow: when nothing comes for `silence_seconds`; see `within` for the whole.
            RedirectRefused: a loop, more than `most_redirects`, or an address not to be asked.
        """
        url = self.address(path)
        seen = [url]
        while True:
            async with self._opened(method, url, headers=headers) as response:
                if response.status_code not in REDIRECTS:
                    yield response
                    return
                url = next_address(url, response.headers.get("location"))
            if url in seen or len(seen) > self.settings.most_redirects:
                raise RedirectRefused(
                    "redirects in a loop" if url in seen else "too many redirects",
                    expected=f"at most {self.settings.most_redirects}, all different",
                    got=" -> ".join(shown(one) for one in [*seen, url]),
                )
            seen.append(url)

    async def body(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The answer's body as it comes.

        Raises:
            BodyTruncated: when the connection ends before it.
            PortalTooSlow: when nothing comes for `silence_seconds`.
        """
        try:
            with self._failures_named():
                async for chunk in response.aiter_raw():
                    yield chunk
        except PortalUnreachable as error:
            raise BodyTruncated("the connection broke during the body", got=error.got) from error

    def refusal(self, what: str, answer: Answer) -> RemoteError:
        """The error that an answer other than success stands for; never repeats the token."""
        return refusal(what, answer, secret=self.token)

    async def read(self, response: httpx.Response) -> Answer:
        """An opened response as a small answer; see `ask`."""
        body = b""
        async with aclosing(self.body(response)) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > self.settings.longest_answer_bytes:
                    raise UnusableReply(
                        "an answer too long",
                        expected=f"at most {self.settings.longest_answer_bytes} bytes",
                        got=f"{quoted(body, self.token)} and more",
                    )
        return Answer(response.status_code, response.headers, body, response.url)

    @asynccontextmanager
    async def within(self, size: int) -> AsyncIterator[None]:
        """The time limit of a request with `size` bytes.

        Raises:
            PortalTooSlow
        """
        seconds = self.settings.seconds_for(size)
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError as error:
            raise PortalTooSlow(
                f"{self.url} did not finish", expected=f"{size} bytes within {seconds:.1f} s"
            ) from error

    @asynccontextmanager
    async def _opened(
        self,
        method: str,
        url: httpx.URL,
        *,
        content: bytes | AsyncIterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        sent = dict(headers or {})
        if self.token is not None and same_origin(url, self._base):
            sent["authorization"] = f"Bearer {self.token}"
        with self._failures_named():
            request = self._client.build_request(method, url, content=content, headers=sent)
            response = await self._client.send(request, stream=True)
        _log.debug("asked method=%s url=%s status=%d", method, shown(url), response.status_code)
        try:
            yield response
        finally:
            await response.aclose()

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
            raise PortalTooSlow(
                f"{self.url} is silent",
                expected=f"bytes within {self.settings.silence_seconds:g} s",
            ) from error
        except httpx.ConnectTimeout as error:
            raise PortalUnreachable(
                f"{self.url} cannot be reached",
                expected=f"a connection within {self.settings.connect_seconds:g} s",
                got="none",
            ) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise PortalUnreachable(
                f"{self.url} cannot be reached, or broke off",
                got=quoted(f"{type(error).__name__} {error}".strip().encode(), self.token),
            ) from error


async def _check_redirect(response: httpx.Response) -> None:
    """Refuses an address that cannot be asked, before httpx looks at it."""
    if response.status_code in REDIRECTS:
        next_address(response.url, response.headers.get("location"))


def _base(text: str) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, TypeError) as error:
        raise BadSettings("a portal's address is none", expected="http or https") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadSettings(
            "a portal's address is none", expected="http or https", got=repr(shown(url))
        )
    if url.userinfo or url.query or url.fragment:
        raise BadSettings(
            "a portal's address with more than host and path",
            expected="the token apart from the address",
            got=repr(shown(url)),
        )
    return url
