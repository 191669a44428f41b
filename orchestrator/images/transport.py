"""Requests to one registry server: its scheme, who we are there, redirects, retries.

Knows HTTP and nothing of images. Bodies are streamed by the caller.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import getproxies_environment

import aiohttp
import anyio
import anyio.to_thread
from yarl import URL

from orchestrator.errors import Denied, Failed, Unavailable
from orchestrator.images import auth
from orchestrator.images.credentials import Credentials
from orchestrator.images.endpoints import Endpoint, proxy_for
from orchestrator.images.retry import RETRIED, delay_s

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_REDIRECTS_MAX = 10
_TOKEN_MAX = 1 << 20


class Transport:
    """Authorized requests to one endpoint. `credentials` are sent only there and to the token
    server that the endpoint itself names."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        credentials: Credentials | None,
        tls: ssl.SSLContext | bool,
    ) -> None:
        self.endpoint = endpoint
        self._session = session
        self._credentials = credentials
        self._tls = tls
        self._scheme = endpoint.schemes[0] if len(endpoint.schemes) == 1 else ""
        self._scheme_lock = anyio.Lock()
        self._authorization = ""
        self._proxies = getproxies_environment()

    @asynccontextmanager
    async def get(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The answer to a GET of a path below the repository (`manifests/latest`), whatever its
        status, once it is neither a redirect, a challenge nor worth another try.

        Raises: Unavailable: the server does not answer. Denied: it does not let us in.
        """
        response = await self._get(path, dict(headers or {}))
        try:
            yield response
        finally:
            response.close()

    async def _get(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        attempt = 0
        while True:
            attempt += 1
            retry_after = ""
            try:
                response = await self._authorized(path, headers)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                delay = delay_s(attempt)
                if delay is None or not self._worth(error, attempt):
                    raise self._unreachable(error) from error
            else:
                retry_after = response.headers.get("Retry-After", "")
                delay = delay_s(attempt, retry_after)
                if response.status not in RETRIED or self.endpoint.mirror or delay is None:
                    return response
                response.close()
            await anyio.sleep(delay)

    async def _authorized(self, path: str, headers: dict[str, str]) -> aiohttp.ClientResponse:
        await self._find_scheme()
        place = f"v2/{self.endpoint.prefix}{self.endpoint.repository}/{path}"
        url = URL(f"{self._scheme}://{self.endpoint.host}/{place}", encoded=True)
        sent = self._authorization
        response = await self._follow(url, headers)
        if response.status == 401:
            challenge = ", ".join(response.headers.getall("WWW-Authenticate", []))
            response.close()
            # A token may have run out while layers were coming; another task may have a new one.
            if sent == self._authorization:
                self._authorization = await self._answer(challenge)
            response = await self._follow(url, headers)
            if response.status == 401:
                response.close()
                self._authorization = ""
                raise auth.denied(self.endpoint.account, self._credentials)
        return response

    async def _follow(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        """The answer after all redirects; Authorization goes to the endpoint's origin only."""
        origin = url.origin()
        for _ in range(_REDIRECTS_MAX):
            sent = dict(headers)
            if self._authorization and url.origin() == origin:
                sent["Authorization"] = self._authorization
            response = await self._once("GET", url, headers=sent)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return response
            response.close()
            url = url.join(URL(target, encoded=True))
            if url.scheme not in ("https", self._scheme):
                raise Failed(
                    f"{self.endpoint.host} redirects to {url.scheme}, which is not safe",
                    code="registry-redirect",
                    about=str(url.origin()) if url.host else str(url),
                    hint=f'set insecure = true for registries."{self.endpoint.host}" to allow it',
                )
        raise Failed(
            f"{self.endpoint.host} redirects without end",
            code="registry-redirect",
            about=self.endpoint.host,
            hint="the registry or its storage is misconfigured",
        )

    async def _answer(self, challenge: str) -> str:
        scope = f"repository:{self.endpoint.prefix}{self.endpoint.repository}:pull"
        return await auth.answer(
            auth.parse_challenges(challenge),
            self._credentials,
            scope,
            self._request_token,
            self.endpoint.account,
        )

    async def _request_token(
        self, method: str, realm: str, values: Mapping[str, str], authorization: str
    ) -> Mapping[str, Any]:
        url = URL(realm)
        if url.scheme != "https" and self._scheme == "https" and self.endpoint.verify:
            raise Denied(
                f"{self.endpoint.host} wants credentials sent unencrypted to {realm}",
                code="registry-denied",
                about=self.endpoint.host,
                hint="do not trust this registry",
            )
        headers = {"Authorization": authorization} if authorization else {}
        if method == "GET":
            url = url.extend_query(values)
            response = await self._once("GET", url, headers=headers)
        else:
            response = await self._once("POST", url, headers=headers, data=dict(values))
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
        return Unavailable(
            f"{host} cannot be reached: {str(error) or type(error).__name__}",
            code="registry-unreachable",
            about=host,
            hint=f"check the network and the name, or set mirrors for"
            f' registries."{self.endpoint.account}" in the settings',
        )


async def tls_for(endpoint: Endpoint) -> ssl.SSLContext | bool:
    """What aiohttp needs to know about trusting the endpoint's certificate.

    Raises: Failed: the CA file cannot be read.
    """
    if not endpoint.ca_file:
        return endpoint.verify
    try:
        return await anyio.to_thread.run_sync(_context, endpoint.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Failed(
            f"{endpoint.ca_file}: not a certificate file: {error}",
            code="ca-file-invalid",
            about=endpoint.ca_file,
            hint=f'mend ca_file of registries."{endpoint.host}" in the settings',
        ) from error


def _context(ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context
