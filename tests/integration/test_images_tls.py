"""Pulling from a registry that speaks TLS with a certificate of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import anyio
import pytest

from orchestrator.aio.process import run_process
from orchestrator.errors import Unavailable
from orchestrator.images.content import ContentStore
from orchestrator.images.pull import pull_image
from orchestrator.images.reference import parse_reference
from orchestrator.model.image import Image
from orchestrator.settings import Registry as RegistrySettings
from orchestrator.settings import Settings
from tests.support.isolation import Isolation
from tests.support.oci import OciImage

PORT = 5443


async def test_a_registry_with_tls_is_trusted_through_its_ca_file(
    isolation: Isolation, busybox_image: OciImage, tmp_path: Path
) -> None:
    store = ContentStore(isolation.work_dir / tmp_path.name / "content")
    key, certificate = make_certificate(tmp_path)
    with tls_registry(tmp_path, key, certificate) as host:
        source, target = f"oci:{busybox_image.directory}", f"docker://{host}/app:1"
        command = ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false"]
        pushed = await run_process([*command, source, target], timeout_s=60)
        assert pushed.exit_code == 0, pushed.stderr

        trusting = settings_for(tmp_path, {host: RegistrySettings(ca_file=str(certificate))})
        assert (await pull(f"{host}/app:1", store, trusting)).id == busybox_image.config_digest

        # On loopback TLS is spoken without knowing the certificate, once plain HTTP has failed.
        image = await pull(f"{host}/app:1", store, settings_for(tmp_path, {}))
        assert image.id == busybox_image.config_digest

        (tmp_path / "other").mkdir()
        _, wrong = make_certificate(tmp_path / "other")
        doubting = settings_for(tmp_path, {host: RegistrySettings(ca_file=str(wrong))})
        with pytest.raises(Unavailable) as caught:
            await pull(f"{host}/app:1", store, doubting)
        assert caught.value.code == "registry-untrusted"
        assert "ca_file" in caught.value.hint


async def pull(text: str, store: ContentStore, settings: Settings) -> Image:
    with anyio.fail_after(60):
        return await pull_image(parse_reference(text), store, settings, "", lambda progress: None)


def settings_for(tmp_path: Path, registries: Mapping[str, RegistrySettings]) -> Settings:
    return Settings(
        data_dir=tmp_path,
        run_dir=tmp_path,
        socket=tmp_path / "socket",
        log_file=tmp_path / "log",
        docker_config=tmp_path / "docker.json",
        registries=registries,
    )


@contextlib.contextmanager
def tls_registry(
    directory: Path, key: Path, certificate: Path, client_authority: Path | None = None
) -> Iterator[str]:
    authorities = [str(client_authority)] if client_authority else []
    config = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}},
        "http": {
            "addr": f"127.0.0.1:{PORT}",
            "tls": {"certificate": str(certificate), "key": str(key), "clientcas": authorities},
        },
    }
    (directory / "registry.yml").write_text(json.dumps(config))
    process = subprocess.Popen(
        ["docker-registry", "serve", str(directory / "registry.yml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(process)
        yield f"127.0.0.1:{PORT}"
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_for(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", PORT), timeout=1).close()
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A key, and a certificate for 127.0.0.1 that it has signed itself."""
    key, certificate = directory / "key.pem", directory / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=tests"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return key, certificate
