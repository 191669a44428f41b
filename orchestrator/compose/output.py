"""A project's canonical form as text: YAML, or JSON as Compose writes it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import yaml

from orchestrator.compose.order import ordered
from orchestrator.compose.scalars import resolve

# JSON holds these as they are, YAML takes them for line breaks or refuses them: JSON that escapes
# them is YAML too.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# Compose says these of every service in JSON, and of none in YAML.
_COMMANDS = ("command", "entrypoint")


class _Dumper(yaml.CSafeDumper):
    """Quotes every string that YAML 1.1 or 1.2 would take for something else."""


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None if isinstance(resolve(text), str) and text not in ("y", "n", "Y", "N") else '"'
    if "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _string)


def as_yaml(form: dict[str, Any]) -> str:
    """The form as YAML that any loader reads back to the same values."""
    text = yaml.dump(form, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30)
    assert isinstance(text, str)
    return text


def as_json(form: dict[str, Any]) -> str:
    """The form as JSON; its sections by name, as Compose has them."""
    whole = {"services": {}, **form}
    whole["services"] = _each(whole["services"], _with_commands)
    if whole.get("networks"):
        whole["networks"] = _each(whole["networks"], lambda network: {"ipam": {}, **network})
    arranged = {key: whole[key] for key in sorted(whole)}
    text = json.dumps(arranged, indent=2, ensure_ascii=False)
    return _NOT_IN_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


def _each(section: Any, shown: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """The section with each of its members as shown; what still is a variable stays as it is."""
    if not isinstance(section, dict):
        return section
    return {
        name: shown(said or {}) if isinstance(said, dict | None) else said
        for name, said in section.items()
    }


def _with_commands(said: dict[str, Any]) -> dict[str, Any]:
    return ordered("service", {**dict.fromkeys(_COMMANDS), **said})
