"""Requests to one registry server: its scheme, who we are there, redirects, retries.

Knows HTTP and nothing of images. Bodies are streamed by the caller.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies_environment

import aiohttp
import anyio
from yarl import URL

from orchestrator.errors import Denied, Failed, Unavailable
from orchestrator.images import auth
from orchestrator.images.endpoints import Endpoint, proxy_for
from orchestrator.images.refusal import TIMEOUT
from orchestrator.images.retry import RETRIED, delay_s
from orchestrator.wire.credentials import Credentials

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAME_METHOD = frozenset({307, 308})
_REDIRECTS_MAX = 10
_CHALLENGES_MAX = 3
# How many times longer a registry may take that moves a large blob to its place.
AFTER_WRITE = 10

# A body is made anew for every attempt to send it.
Body = Callable[[], bytes | AsyncIterable[bytes]]


class Transport:
    """Authorized requests to one endpoint. `credentials` are sent only there and to the token
    server that the endpoint itself names; `scopes` is what tokens are asked for."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        credentials: Credentials | None,
        tls: ssl.SSLContext | bool,
        scopes: Sequence[str] = (),
    ) -> None:
        self.endpoint = endpoint
        self._session = session
        self._credentials = credentials
        self._tls = tls
        self._scopes = tuple(scopes)
        self._scheme = endpoint.schemes[0] if len(endpoint.schemes) == 1 else ""
        self._scheme_lock = anyio.Lock()
        self._authorization = ""
        self._refresh_token = ""
        self._answering = anyio.Lock()
        self._proxies = getproxies_environment()

    @property
    def idle_s(self) -> float:
        """For how long (seconds) nothing need come, or be taken, before the server has failed."""
        return self._session.timeout.sock_read or 60.0

    @asynccontextmanager
    async def get(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """As `request`, a GET."""
        async with self.request("GET", path, headers) as response:
            yield response

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        tries: int = 0,
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The answer to a request for a path below the repository (`manifests/latest`), for one of
        the server (`/v2/`), or for a URL that the server gave, whatever its status, once it is
        neither a redirect, a challenge nor worth another try. `tries` bounds the attempts; 0 is
        the usual number.

        Raises: Unavailable: the server does not answer. Denied: it does not let us in.
        """
        response = await self._tried(method, path, dict(headers or {}), body, tries)
        try:
            yield response
        finally:
            response.close()

    async def _tried(
        self, method: str, path: str, headers: dict[str, str], body: Body | None, tries: int
    ) -> aiohttp.ClientResponse:
        attempt = 0
        while True:
            attempt += 1
            last = attempt == tries
            try:
                response = await self._authorized(method, path, headers, body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                delay = delay_s(attempt)
                if delay is None or last or not self._worth(error, attempt):
                    raise self._unreachable(error) from error
            else:
                delay = delay_s(attempt, response.headers.get("Retry-After", ""))
                give_up = self.endpoint.mirror or last or delay is None
                if response.status not in RETRIED or give_up:
                    return response
                response.close()
            assert delay is not None
            await anyio.sleep(delay)

    async def _authorized(
        self, method: str, path: str, headers: dict[str, str], body: Body | None
    ) -> aiohttp.ClientResponse:
        await self._find_scheme()
        url = self._url(path)
        for _ in range(_CHALLENGES_MAX):
            sent = self._authorization
            response = await self._follow(method, url, headers, body)
            if response.status != 401:
                return response
            challenge = ", ".join(response.headers.getall("WWW-Authenticate", []))
            response.close()
            # A token may have run out while layers were coming; another task may have a new one.
            async with self._answering:
                if sent == self._authorization:
                    self._authorization = await self._answer(challenge)
                    if sent == self._authorization:
                        break
        self._authorization = ""
        raise auth.denied(self.endpoint.account, self._credentials)

    def _url(self, path: str) -> URL:
        base = URL(f"{self._scheme}://{self.endpoint.host}/v2/", encoded=True)
        if "://" not in path and not path.startswith("/"):
            path = f"{self.endpoint.prefix}{self.endpoint.repository}/{path}"
        url = base.join(URL(path, encoded=True))
        if self._scheme == "https" and url.scheme == "http" and url.authority == base.authority:
            # A registry behind a proxy that ends TLS may not know how it is spoken to.
            return url.with_scheme("https")
        return url

    async def _follow(
        self, method: str, url: URL, headers: dict[str, str], body: Body | None
    ) -> aiohttp.ClientResponse:
        """The answer after all redirects; Authorization goes to the endpoint's origin only."""
        origin = self._url("/").origin()
        for _ in range(_REDIRECTS_MAX):
            self._check_safe(url)
            sent = dict(headers)
            if self._authorization and url.origin() == origin:
                sent["Authorization"] = self._authorization
            data = body() if body is not None else None
            response = await self._once(method, url, headers=sent, data=data)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return response
            response.close()
            if response.status not in _SAME_METHOD and method != "HEAD":
                method, body = "GET", None
            url = url.join(URL(target, encoded=True))
        raise Failed(
            f"{self.endpoint.host} redirects without end",
            code="registry-redirect",
            about=self.endpoint.host,
            hint="the registry or its storage is misconfigured",
        )

    def _check_safe(self, url: URL) -> None:
        if url.scheme not in ("https", self._scheme) or not url.host:
            raise Failed(
                f"{self.endpoint.host} redirects to {url.scheme or 'nowhere'}, which is not safe",
                code="registry-redirect",
                about=str(url.origin()) if url.host else str(url),
                hint=f'set insecure = true for registries."{self.endpoint.host}" to allow it',
            )

    async def identity_token(self) -> str:
        """Once the registry accepts the credentials: the token to keep instead of the password,
        "" where it has none.

        Raises: Denied: it refuses them. Unavailable: it does not answer.
        Source: OCI distribution specification 1.1, "Determining Support"; the distribution
        project's "Token Authentication Specification", offline_token.
        """
        async with self.request("GET", "/v2/") as response:
            if response.status != 200:
                raise Unavailable(
                    f"{self.endpoint.host} answers {response.status} and seems no registry",
                    code="registry-unreachable",
                    about=self.endpoint.host,
                    hint="check the name; credentials are kept by the registry's host and port",
                )
        return self._refresh_token

    async def _answer(self, header: str) -> str:
        challenges = auth.parse_challenges(header)
        scopes = auth.joined_scopes(self._scopes, challenges)
        found = await auth.answer(
            challenges, self._credentials, scopes, self._request_token, self.endpoint.account
        )
        # What was granted is asked for again: tasks that write to several repositories would
        # otherwise take each other's access away.
        self._scopes = scopes
        self._refresh_token = found.refresh_token
        return found.authorization

    async def _request_token(
        self, method: str, realm: str, values: auth.Pairs, authorization: str
    ) -> Mapping[str, Any]:
        url = URL(realm)
        if url.scheme not in ("http", "https") or not url.host:
            raise Denied(
                f"{self.endpoint.host} names no token server",
                code="registry-denied",
                about=self.endpoint.host,
                hint="the registry is misconfigured",
            )
        if url.scheme != "https" and self._scheme == "https" and self.endpoint.verify:
            raise Denied(
                f"{self.endpoint.host} wants credentials sent unencrypted to {realm}",
                code="registry-denied",
                about=self.endpoint.host,
                hint="do not trust this registry",
            )
        headers = {"Authorization": authorization} if authorization else {}
        if method == "GET":
            url = url.extend_query(list(values))
            response = await self._once("GET", url, headers=headers)
        else:
            response = await self._once("POST", url, headers=headers, data=list(values))
        async with response:
            if response.status in RETRIED:
                response.raise_for_status()
            if response.status != 200:
                raise auth.denied(self.endpoint.account, self._credentials)
            try:
                found = await response.json(content_type=None)
            except ValueError:
                found = None
        return found if isinstance(found, dict) else {}

    async def _once(self, method: str, url: URL, **options: Any) -> aiohttp.ClientResponse:
        proxy = proxy_for(url.scheme, url.authority, self._proxies) or None
        if method in ("PUT", "PATCH"):
            options["timeout"] = aiohttp.ClientTimeout(
                total=None,
                sock_connect=self._session.timeout.sock_connect,
                sock_read=self.idle_s * AFTER_WRITE,
            )
        return await self._session.request(
            method, url, ssl=self._tls, allow_redirects=False, proxy=proxy, **options
        )

    async def _find_scheme(self) -> None:
        """Finds out, once, whether an insecure server speaks TLS."""
        if self._scheme:
            return
        async with self._scheme_lock:
            for scheme in self.endpoint.schemes:
                if self._scheme:
                    return
                last = scheme == self.endpoint.schemes[-1]
                url = URL(f"{scheme}://{self.endpoint.host}/v2/")
                try:
                    async with await self._once("GET", url) as response:
                        # A TLS server answers plain HTTP with 400.
                        if response.status != 400 or last:
                            self._scheme = scheme
                except (aiohttp.ClientError, TimeoutError):
                    if last:
                        raise

    def _worth(self, error: Exception, attempt: int) -> bool:
        """Whether a failed connection is worth another try: not at a mirror, which has a stand-in,
        not when the certificate is bad, and only briefly when nobody listens."""
        if self.endpoint.mirror or isinstance(error, aiohttp.ClientConnectorCertificateError):
            return False
        if isinstance(error, TimeoutError):
            return attempt < 2
        return attempt < 3 or not isinstance(error, aiohttp.ClientConnectorError)

    def _unreachable(self, error: Exception) -> Unavailable:
        host = self.endpoint.host
        if isinstance(error, aiohttp.ClientSSLError):
            return Unavailable(
                f"{host} has a certificate that is not trusted: {error}",
                code="registry-untrusted",
                about=host,
                hint=f'set ca_file, or insecure = true, for registries."{host}" in the settings',
            )
        problem = f"cannot be reached: {str(error) or type(error).__name__}"
        if isinstance(error, TimeoutError):
            connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
            waited_s = self._session.timeout.sock_connect if connecting else self.idle_s
            problem = f"did not answer within {waited_s:g} s"
        return Unavailable(
            f"{host} {problem}",
            code=TIMEOUT if isinstance(error, TimeoutError) else "registry-unreachable",
            about=host,
            hint=f"check the network and the name, or set mirrors for"
            f' registries."{self.endpoint.account}" in the settings',
        )
