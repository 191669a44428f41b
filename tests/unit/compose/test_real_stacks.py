"""Whole applications load without a warning, and editors accept them too."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.compose.json_schema import text
from orchestrator.compose.load import load_stack

ROOT = Path(__file__).parents[3]
STACKS = ROOT / "tests" / "data" / "stacks"
FILES = sorted(path for path in STACKS.rglob("*") if path.suffix in (".yml", ".yaml"))
EXAMPLES = sorted((ROOT / "examples" / "compose").glob("*/stack.yml"))


def test_the_schema_in_specs_is_up_to_date() -> None:
    written = (ROOT / "specs" / "stack.schema.json").read_text()
    assert written == text(), "run: python -m orchestrator.compose.json_schema > specs/…"


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(json.loads(text()))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(STACKS)))
def test_the_schema_accepts_a_real_file(file: Path) -> None:
    class Loader(yaml.SafeLoader):
        """Takes !override and !reset for what is written after them."""

    Loader.add_constructor(
        "!override",
        lambda loader, node: loader.construct_sequence(node),  # type: ignore[arg-type]
    )
    document = yaml.load(file.read_text(), Loader)
    jsonschema.validate(document, json.loads(text()), jsonschema.Draft7Validator)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.parent.name)
def test_every_example_loads_without_a_warning_and_editors_accept_it(file: Path) -> None:
    document = yaml.safe_load(file.read_text())
    jsonschema.validate(document, json.loads(text()), jsonschema.Draft7Validator)
    loaded = load_stack([str(file)], environ={"TOKEN": "t", "COMPOSE_PROFILES": "*"})
    assert loaded.warnings == ()
    assert loaded.stack.name == file.parent.name


@pytest.mark.parametrize(
    "text_", ["services: {web: {imagee: a}}", "services: [a]", "service: {}", "services: {w: 3}"]
)
def test_the_schema_refuses_what_the_loader_refuses(text_: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text_), json.loads(text()))


def test_an_application_of_five_services() -> None:
    loaded = load_stack([str(STACKS / "voting" / "compose.yaml")], environ={})
    assert loaded.warnings == ()
    stack = loaded.stack
    assert stack.name == "voting"
    assert [s.name for s in stack.services] == ["vote", "result", "worker", "redis", "db"]
    assert [n.name for n in stack.networks] == ["voting_front-tier", "voting_back-tier"]
    assert [v.name for v in stack.volumes] == ["voting_db-data"]
    assert {s.name: [d.service for d in s.depends_on] for s in stack.services} == {
        "vote": ["redis"],
        "result": ["db"],
        "worker": ["redis", "db"],
        "redis": [],
        "db": [],
    }


def test_an_application_with_an_override_file() -> None:
    files = [str(STACKS / "override" / name) for name in ("stack.yml", "stack.override.yml")]
    loaded = load_stack(files, environ={"TAG": "v2"})
    assert loaded.warnings == ()
    web, db = loaded.stack.services
    assert web.container.image == "registry.example.org/shop:v2"
    assert web.scale == 1
    assert [(p.host_port, p.container_port) for p in web.container.ports] == [(8000, 8000)]
    assert web.container.environment == {"DATABASE_URL": "postgres://shop@db/shop", "DEBUG": "1"}
    assert web.container.resources.memory_bytes == 256 << 20
    assert db.container.log_options == {"max-size": "10m"}
    assert db.container.ports[0].host_ip == "127.0.0.1"


def test_an_application_of_several_directories() -> None:
    directory = STACKS / "monorepo"
    loaded = load_stack([str(directory / "stack.yml")], environ={})
    assert loaded.warnings == ()
    stack = loaded.stack
    api, db = stack.service("api"), stack.service("db")
    assert api is not None
    assert db is not None
    assert api.build is not None
    assert api.build.context == str(directory / "services" / "api")
    assert api.depends_on[0].restart
    assert api.container.files[0].target == "/run/secrets/api-token"
    assert db.container.healthcheck is not None
    assert db.container.healthcheck.test == (
        "CMD-SHELL",
        "pg_isready -U ${POSTGRES_USER:-postgres}",
    )
    assert db.container.mounts[1].source == str(directory / "services" / "db" / "init")
