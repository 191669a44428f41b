"""Whatever a client sends, the engine answers as specs/engine-api.yaml says."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from docker.transport import UnixHTTPAdapter
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS
from schemathesis.schemas import APIOperation

from tests.support.engine import EngineUnderTest

SPEC = Path(__file__).resolve().parents[2] / "specs/engine-api.yaml"
BASE = "http://engine"
# What ends the engine, waits for something to happen, takes the connection over, or asks others.
APART = {
    "shutdown", "events", "stackLogs", "containerAttach", "containerAttachWebsocket", "execStart",
    "execAttach", "auth", "imageCreate", "imageSearch", "imagePush", "distribution", "build",
}  # fmt: skip
# The same, of a container that is there.
WITH_NOBODY_ONLY = {"containerWait", "containerStats", "containerLogs"}
PATIENT = {"containerStop", "containerRestart"}
SECONDS = 30.0
NAMED = {"id", "name"}
CHECKED = ("status_code_conformance", "content_type_conformance", "response_schema_conformance")


def tar(*names: str) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return made.getvalue()


TAR = "application/x-tar"
schemathesis.openapi.media_type(TAR, st.sampled_from([tar(), tar("a", "b/c"), b"", b"none"]))
schemathesis.serializer(TAR)(lambda _context, value: value)


@pytest.fixture
def session(engine: EngineUnderTest) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount(BASE, UnixHTTPAdapter(f"http+unix://{engine.socket}", timeout=20))
        yield session


@pytest.fixture
def known(engine: EngineUnderTest) -> Iterator[Callable[[str], str]]:
    """The id of something that is there, for the path of an operation."""
    engine.run("pull", "-q", "busybox")
    sleeper = engine.cli("run", "-d", "--stop-signal", "KILL", "busybox", "sleep", "1000")
    ids = {
        "containers": sleeper.stdout.strip(),
        "networks": engine.cli("network", "create", "lan").stdout.strip(),
        "volumes": engine.cli("volume", "create", "data").stdout.strip(),
        "images": "busybox",
    }
    for noun in ("secrets", "configs"):
        body = {"Name": "kept", "Data": "eA=="}
        ids[noun] = engine.request("POST", f"/{noun}/create", body)[1]["ID"]
    made = engine.request("POST", f"/containers/{ids['containers']}/exec", {"Cmd": ["true"]})
    ids["exec"] = made[1]["Id"]
    yield lambda path: ids.get(path.removeprefix("/pystack/v1").split("/")[1], "")
    for container in engine.containers():
        engine.request("POST", f"/containers/{container['Id']}/unpause")
        engine.request("DELETE", f"/containers/{container['Id']}?force=1&v=1")
    engine.request("POST", "/networks/prune")
    engine.request("POST", "/volumes/prune?filters=" + '{"all":["1"]}')


def operations() -> list[APIOperation[Any, Any]]:
    """Every operation that answers by itself; those that remove come last."""
    schema = schemathesis.openapi.from_path(SPEC)
    found = [result.ok() for result in schema.get_all_operations()]
    kept = [o for o in found if o.definition.raw["operationId"] not in APART]
    assert len(kept) == len(found) - len(APART)
    return sorted(kept, key=lambda o: o.method == "delete" or "prune" in o.path)


def test_every_answer_is_as_described(
    engine: EngineUnderTest, session: requests.Session, known: Callable[[str], str]
) -> None:
    every = operations()
    until = time.monotonic() + SECONDS
    calls = 0
    failures = []
    for number, operation in enumerate(every):
        # What is left of the time is shared by the operations that are left.
        share = max(0.05, (until - time.monotonic()) / (len(every) - number))
        try:
            calls += _tried(operation, session, known(operation.path), share)
        except (AssertionError, BaseExceptionGroup) as failure:
            # All of them are told, not the first alone.
            failures.append(f"{operation.label}: {failure}{_inner(failure)}")
    assert not failures, "\n\n".join(failures)
    assert calls > 5 * len(every)
    status, version = engine.request("GET", "/version")
    assert status == 200
    assert version["ApiVersion"] == "1.45"
    assert '"internal-error"' not in engine.output()


def _tried(
    operation: APIOperation[Any, Any], session: requests.Session, identifier: str, share: float
) -> int:
    """How many requests of this operation were answered as described."""
    name = operation.definition.raw["operationId"]
    until = time.monotonic() + share
    calls = 0
    in_path = {p for p in NAMED if f"{{{p}}}" in operation.path}
    # A made-up name may happen to begin an id.
    nobody = dict.fromkeys(in_path, "nobody") if name in WITH_NOBODY_ONLY else {}
    ways = [(GenerationMode.POSITIVE, nobody), (GenerationMode.NEGATIVE, nobody)]
    if identifier and in_path and not nobody:
        ways.insert(0, (GenerationMode.POSITIVE, dict.fromkeys(in_path, identifier)))
    for mode, path_parameters in ways:
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue

        @settings(
            max_examples=8,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(mode, path_parameters=path_parameters or None))
        def called(case: Case) -> None:
            nonlocal calls
            if calls and time.monotonic() > until:
                return
            if name == "containerCreate" and isinstance(case.body, dict):
                case.body["Image"] = "busybox"
            if name in PATIENT and isinstance((case.query or {}).get("t"), int | float | None):
                # Else it may be asked to wait for ever, and does.
                case.query = {**(case.query or {}), "t": 0}
            response = case.call(base_url=BASE, session=session, timeout=20)
            _checked(case, response)
            calls += 1

        called()
    return calls


def _inner(failure: BaseException) -> str:
    """What the failures within this one say."""
    if not isinstance(failure, BaseExceptionGroup):
        return ""
    return "".join(f"\n  {each!r}{_inner(each)}" for each in failure.exceptions)


def _can_be_wrong(operation: APIOperation[Any, Any]) -> bool:
    return bool(len(operation.query) or len(operation.body))


def _checked(case: Case, response: Any) -> None:
    status = str(response.status_code)
    described = case.operation.definition.raw["responses"].get(status, {})
    checks = [CHECKS.get_one(name) for name in CHECKED]
    if described.get("x-lines"):
        checks = checks[:-1]
        lines = [json.loads(line) for line in response.content.splitlines()]
        assert all(isinstance(line, dict) for line in lines)
    case.validate_response(response, checks=checks)
    assert response.headers["api-version"] == ["1.45"]
    if response.status_code >= 400 and case.method != "HEAD":
        assert response.json()["message"]
