"""Where a repository can be fetched from: its registry's mirrors first, then the registry. Pure
but for the environment's proxy variables, which arrive as an argument."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from urllib.request import proxy_bypass

from orchestrator.images.reference import DEFAULT_DOMAIN, Reference
from orchestrator.settings import Registry

_HUB = "registry-1.docker.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One server that may hold the repository, or (`repository` "") a server as such.

    `schemes` are tried in turn until one answers; more than one only where the server is
    insecure. `account` is the name that credentials are kept under.
    """

    host: str
    prefix: str = ""
    repository: str
    account: str
    schemes: tuple[str, ...] = ("https",)
    verify: bool = True
    ca_file: str = ""
    mirror: bool = False


def endpoints(reference: Reference, registries: Mapping[str, Registry]) -> list[Endpoint]:
    """The servers to ask for the reference, best first."""
    own = registries.get(reference.domain, Registry())
    found = [_mirror(text, reference, registries) for text in own.mirrors]
    return [*found, replace(server(reference.domain, registries), repository=reference.path)]


def server(domain: str, registries: Mapping[str, Registry]) -> Endpoint:
    """The registry of a domain itself, no repository of it."""
    host = _HUB if domain == DEFAULT_DOMAIN else domain
    settings = registries.get(domain, Registry())
    return _endpoint(host, "", "", "", settings, account=domain, mirror=False)


def is_loopback(host: str) -> bool:
    """Whether a host, port and all, is this machine: its plain HTTP harms nobody."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_for(scheme: str, host: str, proxies: Mapping[str, str]) -> str:
    """The proxy to reach host through, "" for none; proxies are as urllib's
    getproxies_environment gives them."""
    if is_loopback(host) or proxy_bypass(host, dict(proxies)):
        return ""
    return proxies.get(scheme, "")


def _mirror(text: str, reference: Reference, registries: Mapping[str, Registry]) -> Endpoint:
    scheme, _, rest = text.rpartition("://")
    host, _, prefix = rest.strip("/").partition("/")
    settings = registries.get(host, Registry())
    return _endpoint(host, prefix, scheme, reference.path, settings, account=host, mirror=True)


def _endpoint(
    host: str,
    prefix: str,
    scheme: str,
    repository: str,
    settings: Registry,
    *,
    account: str,
    mirror: bool,
) -> Endpoint:
    loopback = is_loopback(host)
    if scheme:
        schemes: tuple[str, ...] = (scheme,)
    elif loopback and not settings.ca_file:
        schemes = ("http", "https")
    elif settings.insecure:
        schemes = ("https", "http")
    else:
        schemes = ("https",)
    return Endpoint(
        host=host,
        prefix=f"{prefix.strip('/')}/" if prefix else "",
        repository=repository,
        account=account,
        schemes=schemes,
        verify=bool(settings.ca_file) or not (settings.insecure or loopback),
        ca_file=settings.ca_file,
        mirror=mirror,
    )
