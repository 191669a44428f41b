"""No attribute is ignored in silence: without it the stack is another, or a warning is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.compose.load import StackInvalid, load_stack
from tests.support.corpus import CORPUS

# Ends of the paths of what may go without a trace, and why.
SILENT = {
    "as it would be unsaid": (
        "configs.1.mode deploy.mode deploy.replicas full.scale healthcheck.retries"
        " healthcheck.start_interval full.shm_size networks.n1.driver networks.n1.ipam.driver"
        " volumes.v1.driver ports.7.protocol"
    ),
    "said elsewhere as well": (
        "full.cpus full.mem_limit full.mem_reservation full.pids_limit full.mac_address"
        " full.depends_on limits.cpus limits.memory limits.pids reservations.memory"
        " resources.limits deploy.restart_policy restart_policy.condition restart_policy.delay"
        " restart_policy.max_attempts restart_policy.window full.profiles"
    ),
    "a variable that is not set": "environment.Z environment.Q args.NOVAL",
    "used by nobody": (
        "networks.unused volumes.unused volumes.unused.name secrets.unused configs.c2"
    ),
    "for people and tools": "ports.7.mode ports.7.name ports.7.app_protocol volumes.7.consistency",
}
# What is below these is warned of with them.
WARNED = ("placement", "generic_resources", "reservations.devices", "ipam.options", "secrets.s2")


def steps(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all keys."""
    pairs = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        pairs = [(n, each) for n, each in enumerate(value) if isinstance(each, dict)]
    for key, child in pairs:
        if isinstance(value, dict) and not key.startswith("x-"):
            yield (*path, key)
        yield from steps(child, (*path, key))


def without(document: Any, path: tuple[Any, ...]) -> Any:
    copy = deepcopy(document)
    place = copy
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return copy


def meaning(document: Any) -> tuple[Any, list[str]]:
    Path("stack.json").write_text(json.dumps(document))
    loaded = load_stack(
        ["stack.json"], project_name="demo", profiles=["x"], environ={"HOME": "/root"}
    )
    return loaded.stack, sorted(line.split(": ", 1)[1] for line in loaded.warnings)


def test_every_key_says_something_or_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.env").symlink_to(CORPUS / "everything" / "a.env")
    document = yaml.safe_load((CORPUS / "everything" / "compose.yaml").read_text())
    del document["name"]  # it is told
    whole = meaning(document)
    ignored = []
    for path in steps(document):
        if any(str(key).startswith("x-") for key in path):
            continue
        try:
            if meaning(without(document, path)) == whole:
                ignored.append(".".join(map(str, path)))
        except StackInvalid:
            continue  # it is needed
    expected = tuple(f".{end}" for ends in SILENT.values() for end in ends.split())
    below = [name for name in ignored if any(f"{above}." in name for above in WARNED)]
    assert [n for n in ignored if n not in below and not f".{n}".endswith(expected)] == []
