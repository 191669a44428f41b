"""A real registry (Debian's docker-registry) on loopback, and a small pusher.

Source: the OCI distribution specification, "Pushing blobs", "Pushing manifests".
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.oci import OciImage

USER = "alice"
PASSWORD = "secret"
# `htpasswd -nbB alice secret`
HTPASSWD = "alice:$2y$05$okectDdMz2ZH2VDDwd1qB.gSGL1VgrtBD7Rnkly4lUqKdHRuGHHcO\n"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that runs: `host` is "127.0.0.1:port"."""

    host: str
    storage: Path
    log: Path
    pid: int
    user: str = ""
    password: str = ""

    def push(self, image: OciImage, name: str, tag: str = "latest") -> str:
        """Stores an image as `name`:`tag`; gives the full reference."""
        manifest = image.manifest
        for descriptor in [manifest["config"], *manifest["layers"]]:
            self._push_blob(name, descriptor["digest"], image.blob(descriptor["digest"]))
        body = image.blob(image.manifest_digest).read_bytes()
        self._call("PUT", f"/v2/{name}/manifests/{tag}", body, manifest["mediaType"])
        return f"{self.host}/{name}:{tag}"

    def docker_config(self, path: Path) -> Path:
        """A configuration file with the credentials, as `docker login` writes it."""
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        path.write_text(json.dumps({"auths": {self.host: {"auth": token}}}))
        return path

    def _push_blob(self, name: str, digest: str, path: Path) -> None:
        location = self._call("POST", f"/v2/{name}/blobs/uploads/", b"")
        separator = "&" if "?" in location else "?"
        target = f"{location}{separator}digest={urllib.parse.quote(digest)}"
        self._call("PUT", target, path.read_bytes(), "application/octet-stream")

    def _call(self, method: str, target: str, body: bytes, kind: str = "") -> str:
        url = urllib.parse.urljoin(f"http://{self.host}", target)
        request = urllib.request.Request(url, data=body, method=method)
        request.add_header("Content-Type", kind or "application/octet-stream")
        if self.user:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return str(answer.headers.get("Location", ""))


@contextlib.contextmanager
def serve(directory: Path, port: int, *, with_auth: bool = False) -> Iterator[Registry]:
    """A registry on 127.0.0.1:`port` while the block lasts, with its files in `directory`."""
    directory.mkdir(parents=True)
    (directory / "htpasswd").write_text(HTPASSWD)
    config = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {
            "filesystem": {"rootdirectory": str(directory / "storage")},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if with_auth:
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    # JSON is YAML.
    (directory / "config.yml").write_text(json.dumps(config))
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(directory / "config.yml")],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(port, process, log)
        user, password = (USER, PASSWORD) if with_auth else ("", "")
        host = f"127.0.0.1:{port}"
        yield Registry(host, directory / "storage", log, process.pid, user, password)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"docker-registry did not start: {log.read_text()}") from None
            time.sleep(0.02)
