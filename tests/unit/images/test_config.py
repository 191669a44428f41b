from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orchestrator.errors import Failed, PystackError
from orchestrator.images.chain import chain_ids
from orchestrator.images.config import encode_config, parse_config, timestamp
from orchestrator.model.container import Healthcheck
from orchestrator.model.image import History, ImageConfig

FULL = ImageConfig(
    architecture="arm64",
    os="linux",
    variant="v8",
    created="2024-01-02T03:04:05Z",
    author="somebody",
    user="1000:1000",
    environment=("PATH=/bin", "A=ö"),
    entrypoint=("/entry", "-x"),
    command=("serve",),
    working_dir="/srv",
    labels={"b": "2", "a": "1"},
    exposed_ports=("443/tcp", "80/tcp"),
    volumes=("/data", "/logs"),
    stop_signal="SIGQUIT",
    shell=("/bin/bash", "-c"),
    onbuild=("RUN true",),
    healthcheck=Healthcheck(test=("CMD", "true"), interval_s=0.5, retries=7, start_period_s=60),
)
HISTORY = (
    History(created="2024-01-02T03:04:05Z", created_by="ADD rootfs", comment="x"),
    History(created_by="ENV A=ö", empty=True),
)
DIFF_IDS = ("sha256:" + "1" * 64,)


def test_a_configuration_survives_being_written_and_read() -> None:
    parsed = parse_config(encode_config(FULL, DIFF_IDS, HISTORY))
    assert (parsed.config, parsed.diff_ids, parsed.history) == (FULL, DIFF_IDS, HISTORY)


def test_the_same_image_always_has_the_same_bytes() -> None:
    turned = ImageConfig(
        **{f: getattr(FULL, f) for f in FULL.__slots__}
        | {"labels": dict(reversed(list(FULL.labels.items())))}
    )
    assert encode_config(FULL, DIFF_IDS, HISTORY) == encode_config(turned, DIFF_IDS, HISTORY)


def test_an_empty_configuration_has_only_what_the_specification_requires() -> None:
    assert json.loads(encode_config(ImageConfig(architecture="amd64"), ())) == {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": []},
    }


def test_zero_in_a_health_check_stands_for_the_default() -> None:
    data = {"config": {"Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 0}}}
    assert parse_config(json.dumps(data).encode()).config.healthcheck == Healthcheck(
        test=("CMD-SHELL", "true"), interval_s=30, timeout_s=30, retries=3
    )


def test_nulls_are_taken_for_absent_as_docker_writes_them() -> None:
    data = {"config": {"Cmd": None, "Labels": None, "Volumes": None, "Healthcheck": None}}
    assert parse_config(json.dumps(data).encode()).config == ImageConfig()


@pytest.mark.parametrize("data", [b"", b"[]", b'{"config": 3}', b'{"rootfs": {"diff_ids": 1}}'])
def test_what_is_no_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(Failed) as caught:
        parse_config(data)
    assert caught.value.code == "image-config-invalid"


def test_a_creation_time_with_nanoseconds_is_understood() -> None:
    assert timestamp("2024-01-01T00:00:00.123456789Z") == pytest.approx(1704067200.123456)
    assert timestamp("yesterday") == 0
    assert timestamp("0001-01-01T00:00:00") == pytest.approx(-62135596800, abs=86400) or (
        timestamp("0001-01-01T00:00:00") == 0
    )


TEXTS = st.text(max_size=20) | st.sampled_from(["\ud800", "sha256:" + "1" * 64])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def tables(*names: str) -> st.SearchStrategy[object]:
    """Objects with some of these members, of any type."""
    return st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)) | VALUES


CHECKS = tables("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
INNER = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "ExposedPorts", "Volumes"),
            VALUES,
        ),
        "Healthcheck": CHECKS,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("architecture", "os", "variant", "created", "author"), VALUES),
        "config": INNER | VALUES,
        "rootfs": tables("type", "diff_ids"),
        "history": st.lists(tables("created", "created_by", "empty_layer"), max_size=2) | VALUES,
    },
)


@given(DOCUMENTS | VALUES)
def test_a_configuration_with_missing_or_wrong_members_is_read_or_refused(
    document: object,
) -> None:
    with suppress(PystackError):
        parsed = parse_config(json.dumps(document).encode())
        # What was read can be written, and means the same.
        written = encode_config(parsed.config, parsed.diff_ids, parsed.history)
        assert parse_config(written).diff_ids == parsed.diff_ids
        timestamp(parsed.config.created)
        chain_ids(parsed.diff_ids)


@given(st.binary(max_size=200))
def test_bytes_that_are_no_configuration_are_refused(data: bytes) -> None:
    with suppress(ValueError):  # an object may say nothing
        assume(not isinstance(json.loads(data), dict))
    with pytest.raises(PystackError):
        parse_config(data)
