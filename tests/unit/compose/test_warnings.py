"""What a stack file says and pystack does not do is warned of, at its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.compose.load import Loaded, load_stack

WEB = "services:\n  web:\n    image: a\n"


def load(text: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.chdir(place)
    Path("stack.yml").write_text(text)
    return load_stack(["stack.yml"], project_name="demo", environ={})


SWARM = "only a swarm heeds this: it has no effect"
WINDOWS = "only Windows containers heed this: it has no effect"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (f"version: '3'\n{WEB}", "stack.yml:1:1: version: obsolete: it has no effect"),
        (WEB + "    user: !secret a\n", "stack.yml:4:11: services.web.user: unknown tag !secret: "
         "it has no effect (!reset and !override have)"),
        (WEB + "    volumes: [/a:/b:U]\n", 'stack.yml:4:15: services.web.volumes[0]: unknown '
         'option "U": it has no effect (ro, rw, nocopy have)'),
        (WEB + "    cap_add: [A, A]\n",
         "stack.yml:4:18: services.web.cap_add: given twice, the last one counts"),
        (WEB + "    user: $NOBODY\n", "stack.yml:4:11: services.web.user: the variable NOBODY is "
         "not set, an empty string is used"),
        (WEB + "    cpu_count: 2\n", f"stack.yml:4:5: services.web.cpu_count: {WINDOWS}"),
        (WEB + "    cpu_percent: 2\n", f"stack.yml:4:5: services.web.cpu_percent: {WINDOWS}"),
        (WEB + "    isolation: x\n", f"stack.yml:4:5: services.web.isolation: {WINDOWS}"),
        (WEB + "    gpus: all\n", "stack.yml:4:5: services.web.gpus: pystack hands no GPUs to "
         "containers: it has no effect"),
        (WEB + "    deploy: {mode: global-job}\n",
         f"stack.yml:4:14: services.web.deploy.mode: {SWARM}"),
        (WEB + "    deploy: {endpoint_mode: vip}\n",
         f"stack.yml:4:14: services.web.deploy.endpoint_mode: {SWARM}"),
        (WEB + "    deploy: {placement: {constraints: [a]}}\n",
         f"stack.yml:4:14: services.web.deploy.placement: {SWARM}"),
        (WEB + "    deploy: {labels: {a: b}}\n",
         f"stack.yml:4:14: services.web.deploy.labels: {SWARM}"),
        (WEB + "    models: [m]\n", "stack.yml:4:5: services.web.models: pystack runs no language "
         "models: it has no effect"),
        (WEB + "models: {m: {model: x}}\n", "stack.yml:4:1: models: pystack runs no language "
         "models: it has no effect"),
        (WEB + "    build: {context: ., privileged: true}\n", "stack.yml:4:25: "
         "services.web.build.privileged: builds run confined: it has no effect"),
        (WEB + "    build: {context: ., sbom: true}\n", "stack.yml:4:25: services.web.build.sbom: "
         "pystack attests nothing about the images it builds: it has no effect"),
        (WEB + "    build: {context: ., secrets: [{source: s, uid: '5'}]}\n"
         "secrets: {s: {file: s}}\n",
         "stack.yml:4:47: services.web.build.secrets[0].uid: in a build, the RUN --mount that "
         "takes the secret says it: it has no effect"),
        (WEB + "networks: {default: {enable_ipv4: false}}\n", "stack.yml:4:22: networks.default."
         "enable_ipv4: networks always have IPv4 addresses here: false has no effect"),
        (WEB + "networks: {default: {ipam: {driver: dhcp}}}\n", "stack.yml:4:29: networks.default."
         "ipam.driver: addresses are always chosen by pystack's own driver: it has no effect"),
        (WEB + "    networks: [n]\nnetworks: {n: {external: true, driver: x}}\n",
         "stack.yml:5:32: networks.n.driver: has no meaning for what is external"),
        (WEB + "secrets: {s: {file: a, driver: b}}\n",
         f"stack.yml:4:24: secrets.s.driver: {SWARM}"),
        (WEB + "    volumes: [{type: npipe, source: a, target: /b}]\n", "stack.yml:4:15: "
         "services.web.volumes[0]: type npipe is none of Linux's on one machine: left out"),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_told(
    text: str, warning: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(text, tmp_path, monkeypatch).warnings == (warning,)


@pytest.mark.parametrize(
    "text",
    [
        WEB + "networks: {default: {enable_ipv4: true, ipam: {driver: default}}}\n",
        WEB + "    pull_policy: daily\n",
        WEB + "    x-anything: {a: 1}\nx-more: [1]\n",
        WEB + "    command: echo $(date) costs 5 $\n",
    ],
)
def test_what_is_as_usual_is_not_told(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(text, tmp_path, monkeypatch).warnings == ()


def test_a_name_that_is_none_is_made_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("stack.yml").write_text("name: My App\n" + WEB)
    loaded = load_stack(["stack.yml"], environ={})
    assert loaded.stack.name == "myapp"
    assert loaded.warnings == (
        'stack.yml:1:7: name: "My App" is not a project name: "myapp" is used',
    )


def test_a_service_of_a_provider_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "services:\n  web: {image: a, depends_on: [db]}\n"
        "  db:\n    provider: {type: cloud, options: {size: 1, zones: [a, b]}}\n"
    )
    loaded = load(text, tmp_path, monkeypatch)
    assert [(s.name, s.depends_on) for s in loaded.stack.services] == [("web", ())]
    assert loaded.warnings == (
        "stack.yml:4:5: services.db.provider: pystack calls no providers: the service is left out",
    )
