"""The registry and the images that the other tests pull."""

from __future__ import annotations

import hashlib
import json
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.support.oci import OciImage
from tests.support.registry import Registry


def test_a_pushed_image_can_be_read_back(hub: Registry, busybox_image: OciImage) -> None:
    url = f"http://{hub.host}/v2/library/busybox/manifests/{busybox_image.manifest_digest}"
    request = urllib.request.Request(url, headers={"Accept": busybox_image.manifest["mediaType"]})
    with urllib.request.urlopen(request, timeout=10) as answer:
        body = answer.read()
    assert json.loads(body) == busybox_image.manifest
    assert "sha256:" + hashlib.sha256(body).hexdigest() == busybox_image.manifest_digest


def test_the_registry_with_passwords_refuses_strangers(
    auth_registry: Registry, busybox_image: OciImage
) -> None:
    auth_registry.push(busybox_image, "private/busybox")
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(f"http://{auth_registry.host}/v2/", timeout=10)
    refused.value.close()


def test_the_debian_image_has_a_package_manager(debian_image: OciImage, tmp_path: Path) -> None:
    layer = debian_image.blob(debian_image.manifest["layers"][0]["digest"])
    listed = subprocess.run(
        ["tar", "tzf", layer], capture_output=True, text=True, check=True, timeout=60
    )
    assert {"./usr/bin/apt-get", "./etc/debian_version"} <= set(listed.stdout.splitlines())
