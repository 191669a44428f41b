"""The JSON Schema of stack files, for editors: made from the same tables that check them.

`python -m orchestrator.compose.json_schema > specs/stack.schema.json`
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from orchestrator.compose.schema.kinds import Kind
from orchestrator.compose.schema.resources import EXTERNAL_NAME, External
from orchestrator.compose.schema.shapes import ListOf, MapOf, Struct
from orchestrator.compose.schema.stack import STACK


def stack_schema() -> dict[str, Any]:
    """The schema of a whole stack file, as a JSON value."""
    definitions = {struct.name: _definition(struct) for struct in _structs(STACK, set())}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A pystack stack file",
        **definitions.pop(STACK.name),
        "definitions": dict(sorted(definitions.items())),
    }


def _definition(struct: Struct) -> dict[str, Any]:
    mapping: dict[str, Any] = {
        "type": ["object", "null"] if struct.nullable else "object",
        "properties": {},
        "patternProperties": {"^x-": {}},
        "additionalProperties": False,
    }
    for key, attribute in struct.attributes.items():
        doc = f"{attribute.doc} ({attribute.pending})" if attribute.pending else attribute.doc
        # Draft 7 ignores what stands beside a $ref, so the description goes around it.
        mapping["properties"][key] = {"description": doc, "allOf": [attribute.kind.schema()]}
    # A required key may come from another file, so its absence in this one is no error.
    if struct.short is None:
        return mapping
    return {"anyOf": [dict(struct.short_schema), mapping]}


def _structs(kind: Kind, seen: set[str]) -> Iterator[Struct]:
    if isinstance(kind, Struct) and kind.name not in seen:
        seen.add(kind.name)
        yield kind
        for attribute in kind.attributes.values():
            yield from _structs(attribute.kind, seen)
    elif isinstance(kind, ListOf):
        yield from _structs(kind.item, seen)
    elif isinstance(kind, MapOf):
        yield from _structs(kind.value, seen)
    elif isinstance(kind, External):
        yield from _structs(EXTERNAL_NAME, seen)


def text() -> str:
    """The schema as the file holds it."""
    return json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
