"""The stack as a whole: its name, its resources, profiles, warnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.compose.load import Loaded, StackInvalid, load_stack
from orchestrator.errors import InvalidInput
from orchestrator.model.container import GrantedFile
from orchestrator.model.stack import StackNetwork, StackVolume
from orchestrator.model.subnet import Subnet


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "My_App.2"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


def load(text: str, **options: object) -> Loaded:
    Path("stack.yml").write_text(text)
    return load_stack(["stack.yml"], **{"environ": {}, **options})  # type: ignore[arg-type]


WEB = "services:\n  web: {image: a}\n"


def test_the_name_is_the_directorys_made_plain(here: Path) -> None:
    stack = load(WEB).stack
    assert stack.name == "my_app2"
    assert stack.working_dir == str(here)
    assert stack.files == (str(here / "stack.yml"),)


@pytest.mark.usefixtures("here")
def test_the_name_told_comes_before_the_environments_before_the_files() -> None:
    text = f"name: file-${{N:-x}}\n{WEB}"
    environ = {"COMPOSE_PROJECT_NAME": "environ"}
    assert load(text).stack.name == "file-x"
    assert load(text, environ=environ).stack.name == "environ"
    assert load(text, environ=environ, project_name="told").stack.name == "told"


@pytest.mark.usefixtures("here")
def test_a_name_told_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        load(WEB, project_name="My App")
    assert caught.value.code == "invalid-name"


@pytest.mark.usefixtures("here")
def test_the_name_can_be_used_in_the_file() -> None:
    text = "name: demo\nservices:\n  web: {image: 'a:${COMPOSE_PROJECT_NAME}'}\n"
    assert load(text).stack.services[0].container.image == "a:demo"


@pytest.mark.usefixtures("here")
def test_a_service_that_is_only_built_is_named_for_the_project() -> None:
    text = "name: demo\nservices:\n  web: {build: .}\n  api: {build: ., image: mine:1}\n"
    assert [s.container.image for s in load(text).stack.services] == ["demo-web", "mine:1"]


def test_variables_come_from_the_environment_then_from_the_file_beside_the_stack(
    here: Path,
) -> None:
    (here / ".env").write_text("A=file\nB=file\nCOMPOSE_PROJECT_NAME=named\n")
    loaded = load("services:\n  web: {image: '$A-$B'}\n", environ={"A": "shell"})
    assert loaded.stack.services[0].container.image == "shell-file"
    assert loaded.stack.name == "named"


def test_env_files_that_are_told_replace_the_one_beside_the_stack(here: Path) -> None:
    (here / ".env").write_text("A=no\n")
    (here / "one").write_text("A=1\nB=1\n")
    (here / "two").write_text("B=${A}2\n")
    loaded = load("services:\n  web: {image: '$A-$B'}\n", env_files=["one", "two"])
    assert loaded.stack.services[0].container.image == "1-12"


@pytest.mark.usefixtures("here")
def test_only_what_is_used_is_in_the_stack() -> None:
    text = (
        "name: demo\nservices:\n  web: {image: a, networks: [front], volumes: [data:/d, ext:/e]}\n"
        "networks:\n  front: {driver_opts: {o: 1}, internal: true, enable_ipv6: true,\n"
        "    labels: {l: 1}, ipam: {config: [{subnet: 10.5.0.0/16, gateway: 10.5.0.9,\n"
        "    ip_range: 10.5.1.0/24}, {subnet: 'fd00::/64', gateway: 'fd00::1'}]}}\n"
        "  back: {}\nvolumes:\n  data: {labels: [l=1], driver_opts: {o: bind, device: ./x}}\n"
        "  ext: {external: true, name: real}\n  unused:\n"
    )
    stack = load(text).stack
    assert stack.networks == (
        StackNetwork(
            key="front",
            name="demo_front",
            internal=True,
            subnet="10.5.0.0/16",
            gateway="10.5.0.9",
            ip_range="10.5.1.0/24",
            ipv6=True,
            ipv6_subnet="fd00::/64",
            ipv6_gateway="fd00::1",
            options={"o": "1"},
            labels={"l": "1"},
        ),
    )
    device = str(Path("x").absolute())
    assert stack.volumes == (
        StackVolume(
            key="data",
            name="demo_data",
            labels={"l": "1"},
            options={"o": "bind", "device": device},
        ),
        StackVolume(key="ext", name="real", external=True),
    )


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("network", "name", "external"),
    [
        ("{}", "demo_front", False),
        ("{name: own}", "own", False),
        ("{external: true}", "front", True),
        ("{external: true, name: own}", "own", True),
        ("{external: {name: own}}", "own", True),
        ("{external: false}", "demo_front", False),
    ],
)
def test_the_name_of_a_network_on_the_machine(network: str, name: str, external: bool) -> None:
    text = (
        f"name: demo\nservices:\n  web: {{image: a, networks: [front]}}\n"
        f"networks:\n  front: {network}\n"
    )
    stack = load(text).stack
    assert stack.networks == (StackNetwork(key="front", name=name, external=external),)
    assert stack.services[0].container.attachments[0].network == name


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("profiles", "environ", "services"),
    [
        ((), {}, ["web"]),
        (("dev",), {}, ["web", "debug"]),
        (("*",), {}, ["web", "debug", "test"]),
        ((), {"COMPOSE_PROFILES": "dev, ci"}, ["web", "debug", "test"]),
    ],
)
def test_profiles_choose_the_services(
    profiles: tuple[str, ...], environ: dict[str, str], services: list[str]
) -> None:
    text = WEB + "  debug: {image: b, profiles: [dev]}\n  test: {image: c, profiles: [ci]}\n"
    stack = load(text, profiles=profiles, environ=environ).stack
    assert [service.name for service in stack.services] == services


@pytest.mark.usefixtures("here")
def test_mistakes_of_a_service_that_takes_no_part_do_not_stop_the_others() -> None:
    loaded = load(WEB + "  debug: {build: ., depends_on: [nobody], profiles: [dev]}\n")
    assert [service.name for service in loaded.stack.services] == ["web"]


def test_configs_and_secrets_are_files_whose_content_goes_beside_the_stack(here: Path) -> None:
    (here / "key.txt").write_text("k")
    text = (
        "services:\n  web:\n    image: a\n    secrets: [key, {source: token, mode: 0400, uid: 7}]\n"
        "    configs: [{source: conf, target: /etc/app.conf}, kept]\n"
        "secrets: {key: {file: ./key.txt}, token: {environment: TOKEN}}\n"
        "configs:\n  conf: {content: 'a=${TOKEN}', x-pystack: {on_change: 'signal:HUP'}}\n"
        "  kept: {external: true}\n"
    )
    loaded = load(text, environ={"TOKEN": "t"})
    assert loaded.stack.services[0].container.files == (
        GrantedFile(source="configs/conf", target="/etc/app.conf", on_change="signal:HUP"),
        GrantedFile(source="configs/kept", target="/kept"),
        GrantedFile(source="secrets/key", target="/run/secrets/key"),
        GrantedFile(source="secrets/token", target="/run/secrets/token", uid="7", mode=0o400),
    )
    assert [(f.source, f.name, f.external) for f in loaded.stack.granted] == [
        ("configs/conf", "my_app2_conf", False),
        ("configs/kept", "kept", True),
        ("secrets/key", "my_app2_key", False),
        ("secrets/token", "my_app2_token", False),
    ]
    assert loaded.read_contents() == {
        "configs/conf": b"a=t",
        "secrets/key": b"k",
        "secrets/token": b"t",
    }


@pytest.mark.usefixtures("here")
def test_a_secret_that_is_not_there_is_told_of_when_it_is_read() -> None:
    text = (
        "services:\n  web: {image: a, secrets: [key, token]}\n"
        "secrets: {key: {file: no.txt}, token: {environment: NONE}}\n"
    )
    with pytest.raises(StackInvalid) as caught:
        load(text).read_contents()
    assert str(caught.value).splitlines() == [
        "stack.yml:3:23: secrets.key.file: no.txt: No such file or directory",
        "stack.yml:3:53: secrets.token.environment: the variable NONE is not set",
    ]


@pytest.mark.usefixtures("here")
def test_what_has_no_effect_is_warned_of_by_its_place_and_name() -> None:
    text = (
        "version: '3.8'\nservices:\n  web:\n    image: a:$TAG\n    runtime: runc\n"
        "    cpu_count: 2\n    deploy:\n      placement: {constraints: [a==b]}\n"
        "    ports: ['8000-8010:80']\n    pull_policy: daily\n    links: ['db:base']\n"
        "    tmpfs: /run:uid=5\n    volumes: [/a:/x, /b:/x]\n  db: {image: b}\n"
    )
    assert sorted(load(text).warnings) == sorted(
        [
            "stack.yml:1:1: version: obsolete: it has no effect",
            "stack.yml:4:12: services.web.image: the variable TAG is not set, "
            "an empty string is used",
            "stack.yml:6:5: services.web.cpu_count: only Windows containers heed this: "
            "it has no effect",
            "stack.yml:8:7: services.web.deploy.placement: only a swarm heeds this: "
            "it has no effect",
            "stack.yml:13:22: services.web.volumes: given twice, the last one counts",
        ]
    )


@pytest.mark.usefixtures("here")
def test_keys_that_start_with_x_are_let_be_but_may_name_a_service() -> None:
    text = "x-any: [1]\nservices:\n  web: {image: a, x-mine: {b: 1}}\n  x-ray: {image: b}\n"
    loaded = load(text)
    assert loaded.warnings == ()
    assert [service.name for service in loaded.stack.services] == ["web", "x-ray"]


@pytest.mark.usefixtures("here")
def test_several_documents_in_a_file_lie_over_each_other() -> None:
    stack = load(WEB + "---\nservices:\n  web: {tty: true}\n---\n").stack
    assert stack.services[0].container.tty


def test_paths_count_from_the_project_directory_that_is_told(here: Path) -> None:
    (here / "deploy").mkdir()
    (here / "deploy" / "stack.yml").write_text("services:\n  web: {build: app}\n")
    stack = load_stack(["deploy/stack.yml"], project_dir=".", environ={}).stack
    assert stack.working_dir == str(here)
    assert stack.services[0].build is not None
    assert stack.services[0].build.context == str(here / "app")


@pytest.mark.usefixtures("here")
def test_a_problem_in_the_env_file_beside_the_stack_is_told() -> None:
    Path(".env").write_text("A=1\nB@=2\n")
    with pytest.raises(StackInvalid, match=r"^\.env:2:1: "):
        load(WEB)


@pytest.mark.usefixtures("here")
def test_a_network_has_several_subnets_and_addresses_that_are_taken() -> None:
    text = (
        WEB + "networks:\n  default:\n    enable_ipv6: true\n    ipam:\n      config:\n"
        "        - {gateway: 10.0.0.1}\n"
        "        - {subnet: 10.1.0.0/16, aux_addresses: {a: 10.1.0.9}}\n"
        "        - {subnet: 10.2.0.0/16, gateway: 10.2.0.7}\n        - {subnet: 'fd00:1::/64'}\n"
    )
    loaded = load(text)
    assert loaded.warnings == (
        "stack.yml:8:11: networks.default.ipam.config[0]: has no effect without a subnet",
    )
    assert loaded.stack.networks[0] == StackNetwork(
        key="default",
        name=f"{loaded.stack.name}_default",
        subnet="10.1.0.0/16",
        more_subnets=(Subnet(subnet="10.2.0.0/16", gateway="10.2.0.7"),),
        aux_addresses={"a": "10.1.0.9"},
        ipv6=True,
        ipv6_subnet="fd00:1::/64",
    )
