"""`inspect`, `info` and `version`."""

from __future__ import annotations

import json

import pytest

from tests.support.engine import EngineUnderTest

pytestmark = pytest.mark.usefixtures("hub")


def test_inspect_finds_whatever_has_the_name_and_says_what_it_does_not_find(
    engine: EngineUnderTest,
) -> None:
    engine.cli("volume", "create", "data")
    engine.cli("create", "--name", "web", "-l", "a.b=c", "-v", "data:/d", "busybox", "true")
    found = json.loads(engine.cli("inspect", "web", "busybox", "bridge", "data").stdout)
    assert [sorted({"Id", "Name", "RepoTags", "State"} & set(each)) for each in found] == [
        ["Id", "Name", "State"], ["Id", "RepoTags"], ["Id", "Name"], ["Name"],
    ]  # fmt: skip
    missing = engine.run("inspect", "nobody", "web", "--format", "{{.Name}}")
    assert (missing.exit_code, missing.stdout) == (1, "/web\n")
    assert missing.stderr.splitlines()[0] == "error: no such object: nobody"
    only = engine.run("inspect", "--type", "image", "web")
    assert (only.exit_code, only.stdout) == (1, "[]\n")
    form = (
        '{{.Name}} {{index .Config.Labels "a.b"}} {{range .Mounts}}{{.Name}}:{{.Destination}}'
        "{{end}} {{.State.Status}} {{.Config.Cmd}} {{if .State.Health}}x{{end}}"
    )
    assert engine.cli("container", "inspect", "-f", form, "web").stdout == (
        "/web c data:/d created [true] \n"
    )
    assert engine.cli("inspect", "-f", "{{json .Config.Labels}}", "web").stdout == '{"a.b":"c"}\n'
    unreadable = engine.run("inspect", "-f", "{{.Name", "web")
    assert (unreadable.exit_code, "unclosed action" in unreadable.stderr) == (64, True)
    wrong = engine.run("inspect", "-f", "{{.Nope.Deeper}}", "web")
    assert (wrong.exit_code, 'no entry for key "Nope"' in wrong.stderr) == (1, True)
    assert "SizeRw" not in found[0]
    [sized] = json.loads(engine.cli("inspect", "-s", "web").stdout)
    assert sized["SizeRw"] == 0
    assert sized["SizeRootFs"] > 0
    engine.cli("rm", "web")


def test_info_and_version_have_what_dockers_clients_read(engine: EngineUnderTest) -> None:
    engine.cli("run", "-d", "--name", "up", "busybox", "sleep", "1000")
    engine.cli("create", "--name", "made", "busybox", "true")
    _, info = engine.request("GET", "/info")
    assert (info["Containers"], info["ContainersRunning"], info["ContainersStopped"]) == (2, 1, 1)
    assert (info["Driver"], info["Swarm"]["LocalNodeState"]) == ("overlay2", "inactive")
    assert info["DefaultRuntime"] in info["Runtimes"]
    assert info["NCPU"] > 0
    assert info["MemTotal"] > 1 << 20
    said = engine.cli("info").stdout
    assert " Containers: 2\n  Running: 1\n  Paused: 0\n  Stopped: 1\n" in said
    assert engine.cli("info", "-f", "{{.ServerVersion}} {{.ContainersRunning}}").stdout == (
        f"{info['ServerVersion']} 1\n"
    )
    _, version = engine.request("GET", "/v1.24/version")
    assert (version["ApiVersion"], version["MinAPIVersion"]) == ("1.45", "1.24")
    assert version["Components"][0]["Name"] == "Engine"
    said = engine.cli("version").stdout
    assert said.startswith("Client:\n Version: ")
    assert "API version:    1.45 (minimum version 1.24)" in said
    assert engine.cli("version", "--format", "{{.Server.Version}}/{{.Client.Version}}").stdout == (
        f"{version['Version']}/{version['Version']}\n"
    )
    assert json.loads(engine.cli("version", "-f", "json").stdout)["Server"] == version
    assert engine.run("version", "-f", "{{.Server").exit_code == 64
    engine.cli("rm", "-f", "up", "made")
