"""`config` against Docker Compose itself: the same files mean the same to both."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.compose.canonical import canonical
from orchestrator.compose.load import loaded
from orchestrator.compose.output import as_json, as_yaml
from orchestrator.compose.phases import Phases
from tests.support.compose import UnreachableError, compose_program
from tests.support.corpus import CASES, CORPUS, HOME, environ_of, options_of, project_of
from tests.unit.compose.broken import BROKEN, Broken

# Where pystack says something else, and why that is right: case, place, reason.
DIFFERENCES = {
    ("attributes-of-late", "services.a.networks.n.gw_priority"): (
        "Compose 2.26 reads it and does not write it"
    ),
    **{
        ("numbers-as-written", f"services.a.environment.{name}"): (
            "in YAML 1.2 it is no number of another base, and its text is what was meant"
        )
        for name in "DEHIJ"
    },
    ("everything", "networks.n1.ipam.options"): "Compose 2.26 drops the options of ipam",
    ("everything", "services.full.volumes[5].bind.create_host_path"): (
        "false is said: left out, it would be true when the output is read again"
    ),
    ("interpolation", "services.a.labels.key.$A"): (
        "keys hold no variables: a dollar doubled in one would stay doubled"
    ),
    ("interpolation", "services.a.labels.key.$$A"): "the same",
    ("numbers", "services.numbers.environment.DATE"): (
        "YAML 1.2 has no dates: the text is what was meant, not a time with a zone"
    ),
    ("volumes", "services.volumes.volumes[8].source"): "the same path without . and .. in it",
}


@pytest.fixture(scope="session")
def compose() -> Path:
    try:
        return compose_program()
    except UnreachableError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("case", CASES)
def test_a_project_means_the_same_to_compose(
    case: str, compose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CORPUS / case)
    options = options_of(case)
    theirs = without_quirks(said_by_compose(compose, options))
    ours = said_by_pystack(options)
    found = differences("", ours, theirs)
    expected = {place for name, place in DIFFERENCES if name == case}
    assert {place: both for place, both in found.items() if place not in expected} == {}
    assert set(found) == expected, "a difference that is listed is none any more"


STACKS = Path(__file__).parents[2] / "examples" / "compose"
EXAMPLES = sorted(path.name for path in STACKS.iterdir() if (path / "stack.yml").exists())


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_means_the_same_to_compose(
    example: str, compose: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(STACKS / example)
    options = {"files": ["stack.yml"], "profiles": ["*"]}
    theirs = without_quirks(said_by_compose(compose, options))
    assert differences("", said_by_pystack(options), theirs) == {}


# What Compose lets through and pystack does not: each fails when it is run, or means nothing.
LET_THROUGH = {
    "a device rate without a device",
    "a fixed address that is none",
    "a gateway that is none",
    "a hardware address that is none",
    "a hook without a command",
    "a hook whose command is nothing",
    "a hook of no words",
    "a name of two services",
    "a negative scale",
    "a propagation that is none",
    "a published port of letters",
    "a subnet that is none",
    "a tmpfs size that is none",
    "a weight that is too heavy",
    "an expose that is a word",
    "an unknown deploy mode",
    "an unknown mount type",
    "an unknown network mode",
    "an unknown restart policy",
    "credentials for Windows",
    "swappiness out of range",
    "too many volume parts",
}


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.name)
def test_compose_refuses_what_pystack_refuses(case: Broken, compose: Path, tmp_path: Path) -> None:
    (tmp_path / "stack.yml").write_text(case.text)
    command = [compose, "-f", "stack.yml", "config", "-q"]
    environ = {"PATH": os.environ["PATH"], "HOME": HOME}
    done = subprocess.run(
        command, check=False, cwd=tmp_path, env=environ, capture_output=True, timeout=30
    )
    assert (done.returncode == 0) == (case.name in LET_THROUGH), done.stderr


@pytest.mark.parametrize("case", ["build", "configs-and-secrets", "dependencies", "extends"])
@pytest.mark.parametrize(
    ("flag", "phases", "normalize"),
    [
        ("--no-path-resolution", Phases(resolve_paths=False), True),
        ("--no-normalize", Phases(), False),
        ("--no-consistency", Phases(check=False), True),
    ],
)
def test_what_is_left_out_is_left_out_by_compose_too(
    case: str,
    flag: str,
    phases: Phases,
    normalize: bool,
    compose: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(CORPUS / case)
    options = options_of(case)
    environ = {"PATH": os.environ["PATH"], **environ_of(options)}
    done = subprocess.run(
        [compose, "config", flag], check=True, env=environ, capture_output=True, timeout=30
    )
    ours = as_yaml(canonical(project_of(options, phases), normalize=normalize))
    assert yaml.safe_load(ours) == yaml.safe_load(done.stdout)


def said_by_compose(compose: Path, options: dict[str, Any]) -> Any:
    words: list[str] = []
    for key, flag in (("files", "-f"), ("env_files", "--env-file"), ("profiles", "--profile")):
        words += [word for value in options.get(key, ()) for word in (flag, value)]
    for key, flag in (("name", "-p"), ("dir", "--project-directory")):
        words += [flag, options[key]] if key in options else []
    environ = {"PATH": os.environ["PATH"], **environ_of(options)}
    command = [compose, *words, "config", "--format", "json", *options.get("services", ())]
    done = subprocess.run(
        command, check=False, env=environ, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def said_by_pystack(options: dict[str, Any]) -> Any:
    project = project_of(options)
    loaded(project)
    return json.loads(as_json(canonical(project, services=options.get("services", ()))))


def without_quirks(theirs: dict[str, Any]) -> dict[str, Any]:
    """Compose's JSON as its own YAML has it."""
    for service in theirs.get("services", {}).values():
        # The fields of these have no names in JSON, only those of the program.
        for listed in (service.get("blkio_config") or {}).values():
            for device in listed if isinstance(listed, list) else ():
                for key in list(device):
                    device[key.lower()] = device.pop(key)
        # These are there even where nothing is said of them.
        deploy = service.get("deploy") or {}
        for key in ("placement", "resources"):
            if deploy.get(key) == {}:
                del deploy[key]
        # A rule that runs nothing has an empty command all the same.
        for rule in (service.get("develop") or {}).get("watch", ()):
            if rule.get("exec") == {"command": None}:
                del rule["exec"]
    return theirs


def differences(place: str, ours: Any, theirs: Any) -> dict[str, tuple[Any, Any]]:
    """What differs, by its place: what pystack says and what Compose says."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in {**ours, **theirs}:
            below = f"{place}.{key}".lstrip(".")
            if key.startswith("x-") and key not in theirs and place:
                continue  # Compose leaves the extensions below the top out of its JSON
            if key not in ours or key not in theirs:
                found[below] = (ours.get(key, "nothing"), theirs.get(key, "nothing"))
            else:
                found |= differences(below, ours[key], theirs[key])
        return found
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return {k: v for i, (a, b) in pairs for k, v in differences(f"{place}[{i}]", a, b).items()}
    same = ours == theirs and isinstance(ours, bool) == isinstance(theirs, bool)
    return {} if same else {place: (ours, theirs)}
