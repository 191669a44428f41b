"""Registries through the command line: pull, push, login, search, as somebody who knows docker
would use them."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pty
import select
import stat
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.engine import EngineUnderTest, Result
from tests.support.oci import OciImage, add_file, write_image
from tests.support.registry import Registry

Pystack = Callable[..., Result]
INDEX = "application/vnd.oci.image.index.v1+json"


def home(tmp_path: Path) -> dict[str, str]:
    """The environment of a user of the command line whose configuration is in tmp_path."""
    settings = tmp_path / "settings.toml"
    settings.write_text(f'docker_config = "{tmp_path}/docker/config.json"\n')
    return {"PYSTACK_SETTINGS": str(settings)}


def config(tmp_path: Path) -> Any:
    return json.loads((tmp_path / "docker/config.json").read_text())


def test_pull_says_what_docker_says(
    pystack: Pystack, hub: Registry, busybox_image: OciImage
) -> None:
    first = pystack("pull", "busybox")
    digest = busybox_image.manifest_digest
    assert first.stdout.splitlines() == [
        f"Digest: {digest}",
        "Status: Downloaded newer image for busybox:latest",
        "docker.io/library/busybox:latest",
    ]
    layer = busybox_image.manifest["layers"][0]["digest"].removeprefix("sha256:")[:12]
    said = first.stderr.splitlines()
    assert said[:3] == [
        "Using default tag: latest",
        "latest: Pulling from library/busybox",
        f"{layer}: Pulling fs layer",
    ]
    assert said[-1] == f"{layer}: Pull complete"

    second = pystack("pull", "docker.io/library/busybox:latest")
    assert second.stdout.splitlines()[1] == "Status: Image is up to date for busybox:latest"
    assert pystack("pull", "-q", "busybox:stable").output == "docker.io/library/busybox:stable\n"
    pinned = pystack("pull", f"busybox@{digest}").stdout.splitlines()
    assert pinned[-1] == f"docker.io/library/busybox@{digest}"


def test_pull_of_every_tag(engine: EngineUnderTest, pystack: Pystack, hub: Registry) -> None:
    shown = pystack("pull", "--all-tags", "busybox").stdout.splitlines()
    assert shown[-2:] == [
        "Status: Downloaded newer image for busybox",
        "docker.io/library/busybox",
    ]
    tags = pystack("images", "--format", "{{.Tag}}", "busybox").stdout.split()
    assert sorted(tags) == ["latest", "stable"]
    wrong = engine.run("pull", "-a", "busybox:latest")
    assert (wrong.exit_code, "--all-tags" in wrong.stderr) == (1, True)


def test_pull_takes_the_platform_that_is_asked_for(
    engine: EngineUnderTest, pystack: Pystack, hub: Registry, busybox_image: OciImage
) -> None:
    entries = []
    for variant in ("v6", "v7"):
        document = json.loads(busybox_image.blob(busybox_image.config_digest).read_text())
        document |= {"architecture": "arm", "variant": variant, "os": "linux"}
        entries.append(
            pushed_variant(hub, "e2e/platforms", busybox_image, document, f"arm-{variant}")
            | {"platform": {"os": "linux", "architecture": "arm", "variant": variant}}
        )
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    hub._call("PUT", "/v2/e2e/platforms/manifests/1", index, INDEX)
    name = f"{hub.host}/e2e/platforms:1"

    def pulled(platform: str) -> list[str]:
        pystack("pull", "--platform", platform, name)
        (shown,) = json.loads(pystack("image", "inspect", name).stdout)
        return [shown["Architecture"], shown.get("Variant", "")]

    assert pulled("linux/arm/v7") == ["arm", "v7"]
    assert pulled("linux/arm/v6") == ["arm", "v6"]
    # The nearest older one runs too.
    assert pulled("linux/arm/v8") == ["arm", "v7"]
    lacking = engine.run("pull", "--platform", "linux/s390x", name)
    assert lacking.exit_code == 1
    assert "it has linux/arm/v6, linux/arm/v7" in lacking.stderr

    status, found = engine.request("GET", f"/distribution/{name}/json")
    assert (status, found["Descriptor"]["mediaType"]) == (200, INDEX)
    assert [p["variant"] for p in found["Platforms"]] == ["v6", "v7"]


def pushed_variant(
    hub: Registry, name: str, image: OciImage, document: Any, tag: str
) -> dict[str, Any]:
    """The descriptor of the image with another configuration, now at the registry."""
    hub.push(image, name, tag)
    data = json.dumps(document).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    path = image.directory / f"{tag}.json"
    path.write_bytes(data)
    hub._push_blob(name, digest, path)
    path.unlink()
    manifest = image.manifest
    manifest["config"] |= {"digest": digest, "size": len(data)}
    raw = json.dumps(manifest).encode()
    hub._call("PUT", f"/v2/{name}/manifests/{tag}", raw, manifest["mediaType"])
    digest = "sha256:" + hashlib.sha256(raw).hexdigest()
    return {"mediaType": manifest["mediaType"], "digest": digest, "size": len(raw)}


def test_an_image_that_is_not_there_is_an_error_with_a_status(
    engine: EngineUnderTest, hub: Registry
) -> None:
    lacking = engine.run("pull", f"{hub.host}/nothing/here:1")
    assert lacking.exit_code == 1
    assert lacking.stderr.startswith(f"error: {hub.host} has no {hub.host}/nothing/here:1")
    status, _ = engine.request("POST", f"/images/create?fromImage={hub.host}/nothing/here&tag=1")
    assert status == 404


def test_an_image_that_was_built_is_pushed_and_comes_back(
    pystack: Pystack, engine: EngineUnderTest, hub: Registry, project: Path
) -> None:
    (project / "Dockerfile").write_text("FROM busybox\nRUN echo hello > /greeting\n")
    name = f"{hub.host}/e2e/built"
    pystack("build", "-q", "-t", f"{name}:1", str(project))
    pushed = pystack("push", f"{name}:1")
    assert f"The push refers to repository [{name}]" in pushed.stderr
    (last,) = pushed.stdout.splitlines()
    assert last.startswith("1: digest: sha256:")
    digest, size = last.removeprefix("1: digest: ").split(" size: ")
    assert int(size) > 100
    assert ": Pushed" in pushed.stderr
    assert (
        f"{name}@{digest}"
        in json.loads(pystack("image", "inspect", f"{name}:1").stdout)[0]["RepoDigests"]
    )

    # What is there is not sent again.
    pystack("tag", f"{name}:1", f"{name}:2")
    again = pystack("push", "--all-tags", name)
    assert "Layer already exists" in again.stderr
    assert ": Pushed" not in again.stderr
    assert [line.split(": ")[0] for line in again.stdout.splitlines()] == ["1", "2"]
    assert pystack("push", "-q", f"{name}:2").output == f"{name}:2\n"

    image = pystack("images", "-q", "--no-trunc", f"{name}:1").stdout.split()[0]
    pystack("rmi", "-f", image)
    pystack("pull", "-q", f"{name}@{digest}")
    shown = pystack("run", "--rm", f"{name}@{digest}", "cat", "/greeting")
    assert shown.stdout == "hello\n"

    other = subprocess.run(
        ["skopeo", "inspect", "--tls-verify=false", f"docker://{name}:1"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(other.stdout)["Digest"] == digest
    missing = engine.run("push", f"{hub.host}/e2e/nothing:1")
    assert (missing.exit_code, "no image of that name here" in missing.stderr) == (1, True)


def test_an_engine_killed_in_the_middle_of_a_pull_is_no_matter(
    engine: EngineUnderTest, hub: Registry, tmp_path: Path
) -> None:
    layers = []
    for number in range(3):
        layers.append(tmp_path / f"{number}.tar")
        with tarfile.open(layers[-1], "w") as tar:
            add_file(tar, f"file{number}", os.urandom(8 << 20))
    name = hub.push(write_image(tmp_path / "large", layers), "e2e/large", "1")
    partial = engine.directory / "data/content/partial"
    puller = subprocess.Popen(
        engine.argv("pull", name), env=engine.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 30
    while not list(partial.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.001)
    engine.kill9()
    said, _ = puller.communicate(timeout=30)
    assert (puller.returncode, b"Traceback" in said) == (1, False)

    engine.start()
    assert engine.cli("images", "-q").stdout == ""
    assert list(partial.iterdir()), "what had come is kept for the next pull"
    assert engine.cli("pull", name).stdout.splitlines()[-1] == name
    assert list(partial.iterdir()) == []
    assert engine.cli("image", "verify", name).exit_code == 0
    (partial / ("sha256-" + "0" * 64)).write_bytes(b"of no use")
    engine.cli("image", "prune", "--force")
    assert list(partial.iterdir()) == []


def test_a_login_opens_a_registry_until_the_logout(
    engine: EngineUnderTest, auth_registry: Registry, busybox_image: OciImage, tmp_path: Path
) -> None:
    env = home(tmp_path)
    host = auth_registry.host
    name = auth_registry.push(busybox_image, "e2e/private", "1")
    refused = engine.run("pull", name, env=env)
    assert refused.exit_code == 1
    assert f"pystack login {host}" in refused.stderr

    (tmp_path / "docker").mkdir()
    kept = {"HttpHeaders": {"X-Meta": "1"}, "auths": {"other.example": {"auth": "YTpi"}}, "zz": 1}
    (tmp_path / "docker/config.json").write_text(json.dumps(kept))
    wrong = engine.run("login", "-u", "alice", "--password-stdin", host, stdin="wrong\n", env=env)
    assert (wrong.exit_code, "refused the credentials" in wrong.stderr) == (1, True)
    assert config(tmp_path) == kept

    login = engine.cli("login", "-u", "alice", "--password-stdin", host, stdin="secret\n", env=env)
    assert login.stdout == "Login Succeeded\n"
    assert "unencrypted" in login.stderr
    entry = {"auth": base64.b64encode(b"alice:secret").decode()}
    assert config(tmp_path) == kept | {"auths": kept["auths"] | {host: entry}}
    assert stat.S_IMODE((tmp_path / "docker/config.json").stat().st_mode) == 0o600
    again = engine.cli("login", host, env=env)
    assert again.stdout == "Login Succeeded\n"
    assert "existing credentials" in again.stderr

    engine.cli("pull", "-q", name, env=env)
    engine.cli("tag", name, f"{host}/e2e/private:2")
    engine.cli("push", f"{host}/e2e/private:2", env=env)

    assert engine.cli("logout", host, env=env).stdout == f"Removing login credentials for {host}\n"
    assert config(tmp_path) == kept
    assert engine.cli("logout", host, env=env).stdout == f"Not logged in to {host}\n"
    assert engine.run("pull", name, env=env).exit_code == 1


def test_a_login_asks_on_a_terminal_and_does_not_show_the_password(
    engine: EngineUnderTest, auth_registry: Registry, tmp_path: Path
) -> None:
    terminal, other_end = pty.openpty()
    # The terminal that the leader of a session opens first is its own, which getpass asks on.
    script = f'exec "$@" <{os.ttyname(other_end)} >{os.ttyname(other_end)} 2>&1'
    child = subprocess.Popen(
        ["sh", "-c", script, "sh", *engine.argv("login", auth_registry.host)],
        env=engine.env | home(tmp_path),
        start_new_session=True,
    )
    seen = b""

    def until(text: bytes) -> None:
        nonlocal seen
        while text not in seen:
            ready, _, _ = select.select([terminal], [], [], 30)
            assert ready, seen
            seen += os.read(terminal, 4096)

    try:
        until(b"Username: ")
        os.write(terminal, b"alice\n")
        until(b"Password: ")
        os.write(terminal, b"secret\n")
        until(b"Login Succeeded")
    finally:
        child.wait(timeout=30)
        os.close(other_end)
        os.close(terminal)
    assert child.returncode == 0
    assert b"secret" not in seen
    assert list(config(tmp_path)["auths"]) == [auth_registry.host]


HELPER = """#!/bin/sh
# Keeps one secret a server in a directory, as docker-credential-helpers' protocol has it.
server() { printf %s "$1" | tr '/:' '__'; }
case $1 in
store) data=$(cat); url=$(printf %s "$data" | sed 's/.*"ServerURL": *"\\([^"]*\\)".*/\\1/')
  printf %s "$data" > "$KEPT/$(server "$url")";;
get) file=$KEPT/$(server "$(cat)"); [ -f "$file" ] || { echo "credentials not found"; exit 1; }
  cat "$file";;
erase) rm "$KEPT/$(server "$(cat)")";;
esac
"""


def test_a_credential_helper_keeps_the_password(
    engine: EngineUnderTest, auth_registry: Registry, busybox_image: OciImage, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    for directory in ("bin", "docker", "kept"):
        (tmp_path / directory).mkdir()
    helper = tmp_path / "bin/docker-credential-tests"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    (tmp_path / "docker/config.json").write_text(json.dumps({"credsStore": "tests"}))
    env = home(tmp_path) | {"KEPT": str(kept), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    host = auth_registry.host
    name = auth_registry.push(busybox_image, "e2e/helped", "1")

    login = engine.cli("login", "-u", "alice", "--password-stdin", host, stdin="secret", env=env)
    assert login.output == "Login Succeeded\n"
    assert config(tmp_path) == {"credsStore": "tests", "auths": {host: {}}}
    (secret,) = kept.iterdir()
    assert json.loads(secret.read_text())["Secret"] == "secret"
    engine.cli("pull", "-q", name, env=env)
    engine.cli("logout", host, env=env)
    assert list(kept.iterdir()) == []
    assert engine.run("pull", name, env=env).exit_code == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--password-stdin"], "needs --username"),
        (["-u", "a", "-p", "b", "--password-stdin"], "mutually exclusive"),
        ([], "without a terminal"),
    ],
)
def test_a_login_that_cannot_be_says_why(
    place: EngineUnderTest, tmp_path: Path, words: list[str], problem: str
) -> None:
    refused = place.run("login", *words, "r.example", env=home(tmp_path))
    assert (refused.exit_code, problem in refused.stderr) == (1, True)


class Searchable(BaseHTTPRequestHandler):
    """A registry of the first generation, as far as searching goes."""

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        results = [
            {"name": "redis", "description": "fast " * 20, "star_count": 90, "is_official": True},
            {"name": "team/redis", "star_count": 3},
        ]
        found = self.path.startswith("/v1/search?") and query["q"] == ["redis"]
        body = json.dumps({"results": results if found else []}).encode()
        self.send_response(200 if self.path.startswith("/v1/search?") else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Not said."""


def test_a_registry_that_can_be_searched_is(
    pystack: Pystack, engine: EngineUnderTest, hub: Registry
) -> None:
    refused = engine.run("search", f"{hub.host}/busybox")
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"error: {hub.host} has no search")
    with ThreadingHTTPServer(("127.0.0.1", 0), Searchable) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            term = f"127.0.0.1:{server.server_port}/redis"
            lines = pystack("search", term).stdout.splitlines()
            assert lines[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
            assert lines[1].split() == ["redis", *["fast"] * 8, "fast…", "90", "[OK]"]
            assert lines[2].split() == ["team/redis", "3"]
            for given, names in {
                "stars=10": ["redis"],
                "is-official=false": ["team/redis"],
                "is-automated=true": [],
            }.items():
                said = pystack("search", "--filter", given, "--format", "{{.Name}}", term)
                assert said.stdout.split() == names, given
            wrong = engine.run("search", "-f", "colour=blue", term)
            assert (wrong.exit_code, "invalid filter" in wrong.stderr) == (1, True)
        finally:
            server.shutdown()
            thread.join()


def test_dockers_own_client_pulls_and_pushes(
    engine: EngineUnderTest, auth_registry: Registry, busybox_image: OciImage, tmp_path: Path
) -> None:
    """The credentials come from the client here, in the header that it sends."""
    name = auth_registry.push(busybox_image, "e2e/dockers", "1")
    env = os.environ | {
        "DOCKER_HOST": f"unix://{engine.socket}",
        "DOCKER_CONFIG": str(tmp_path / "docker"),
    }

    def docker(*words: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["docker", *words],
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    login = ("login", "-u", "alice", "--password-stdin", auth_registry.host)
    with pytest.raises(AssertionError, match="refused the credentials of alice"):
        docker(*login, stdin="wrong")
    assert "Login Succeeded" in docker(*login, stdin="secret")
    pulled = docker("pull", name).splitlines()
    assert pulled[0] == "1: Pulling from e2e/dockers"
    assert pulled[-2:] == [f"Status: Downloaded newer image for {name}", name]
    target = f"{auth_registry.host}/e2e/dockers-too:2"
    engine.cli("tag", name, target)
    pushed = docker("push", target).splitlines()
    assert pushed[0] == f"The push refers to repository [{target.removesuffix(':2')}]"
    assert pushed[-1].startswith(f"2: digest: {busybox_image.manifest_digest} size: ")
