"""What specs/engine-api.yaml says is served is what is served."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import jsonschema
import pytest
import yaml

from orchestrator.api.server import routes

SPEC = Path(__file__).resolve().parents[3] / "specs/engine-api.yaml"


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return dict(yaml.safe_load(SPEC.read_text()))


def operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def served() -> set[tuple[str, str]]:
    """Every route, its path as OpenAPI writes it."""
    return {
        (route.method, re.sub(r":[^}]*\}", "}", route.path))
        for route in routes(MagicMock())  # no handler is called
    }


def test_every_route_is_described_and_nothing_else(spec: dict[str, Any]) -> None:
    described = {(method, path) for method, path, _ in operations(spec)}
    assert described == served()


def test_no_route_is_served_twice() -> None:
    every = [(r.method, re.sub(r":[^}]*\}", "}", r.path)) for r in routes(MagicMock())]
    assert len(every) == len(set(every))


def test_operations_have_names_of_their_own_and_their_paths_parameters(
    spec: dict[str, Any],
) -> None:
    names = [operation["operationId"] for _, _, operation in operations(spec)]
    assert len(names) == len(set(names))
    parameters = spec["components"]["parameters"]
    for method, path, operation in operations(spec):
        given = [
            parameters[p["$ref"].rpartition("/")[2]] if "$ref" in p else p
            for p in operation.get("parameters", ())
        ]
        in_path = {p["name"] for p in given if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path)), (method, path)


def test_every_reference_leads_somewhere_and_every_schema_is_one(spec: dict[str, Any]) -> None:
    components = spec["components"]

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    used = set(references(spec))
    for reference in used:
        _, _, kind, name = reference.split("/")
        assert name in components[kind], reference
    for kind in ("parameters", "responses", "schemas"):
        for name in components[kind]:
            assert f"#/components/{kind}/{name}" in used, f"{kind}: {name} is used nowhere"
    for schema in components["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
