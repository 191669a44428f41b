"""Containers in a list: which are there, and how."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from orchestrator.api.docker.container_filters import LISTING, Known, listed, prunable
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.model.container import ContainerSpec, Mount, PortBinding
from orchestrator.model.image import Image, ImageConfig, Layer
from orchestrator.model.observed import Container, Endpoint, State
from orchestrator.wire.container_list import container_summary, status_text
from orchestrator.wire.filters import Filters


def image(name: str, *chains: str) -> Image:
    layers = tuple(
        Layer(blob=None, diff_id="", chain_id=chain, size_bytes=0)  # type: ignore[arg-type]
        for chain in chains
    )
    config = ImageConfig(exposed_ports=("9000/tcp",), labels={"of": "image"})
    return Image(id=name, manifest_digest="", config=config, layers=layers)


BASE, CHILD, OTHER = image("base", "1"), image("child", "1", "2"), image("other", "9")
IMAGES = {i.id: i for i in (BASE, CHILD, OTHER)}


def container(name: str, created_at: float, state: State, **spec: object) -> Container:
    return Container(
        id=name * 8,
        name=name,
        spec=ContainerSpec(image=str(spec.pop("image", "base")), **spec),  # type: ignore[arg-type]
        image_id=str(spec.pop("image_id", "base")),
        created_at=created_at,
        state=state,
    )


UP = replace(
    container("up", 3, State(status="running", health="healthy", started_at=1)),
    endpoints=(Endpoint(network_id="n1", network_name="lan", interface="eth0"),),
    ports=(PortBinding(container_port=80, host_port=8080),),
    mounts=(Mount(kind="volume", source="data", target="/d"),),
)
ENDED = replace(
    container("ended", 2, State(status="exited", exit_code=3, started_at=1, finished_at=2)),
    image_id="child",
)
MADE = replace(container("made", 1, State(status="created")), image_id="other")
EVERY = [UP, ENDED, MADE]


def named(reference: str) -> Container:
    for each in EVERY:
        if each.name == reference:
            return each
    raise NotFound("no", code="no")


def image_of(reference: str) -> Image:
    if reference not in IMAGES:
        raise NotFound("no", code="no")
    return IMAGES[reference]


KNOWN = Known(container=named, image=image_of, image_of=IMAGES.get, images=list(IMAGES.values()))


def some(filters: dict[str, list[str]], *, every: bool = True, limit: int = 0) -> list[str]:
    asked = {name.replace("_", "-"): values for name, values in filters.items()}
    parsed = Filters.parse(json.dumps(asked), LISTING)
    return [c.name for c in listed(EVERY, parsed, KNOWN, every=every, limit=limit)]


def names(**filters: list[str]) -> list[str]:
    return some(filters)


def test_those_that_run_are_listed_and_others_when_asked_for() -> None:
    assert some({}, every=False) == ["up"]
    assert names() == ["up", "ended", "made"]
    assert some({}, every=False, limit=2) == ["up", "ended"]
    assert some({"status": ["exited"]}, every=False) == ["ended"]
    assert some({"exited": ["3"]}, every=False) == []


def test_every_filter_chooses() -> None:
    assert names(exited=["3"]) == ["ended"]
    assert names(ancestor=["base"]) == ["up", "ended"]
    assert names(ancestor=["child", "nobody"]) == ["ended"]
    assert names(before=["up"]) == ["ended", "made"]
    assert names(since=["made"]) == ["up", "ended"]
    assert names(health=["healthy"]) == ["up"]
    assert names(health=["none"]) == ["ended", "made"]
    assert names(network=["lan"]) == names(network=["n1"]) == ["up"]
    assert names(volume=["data"]) == names(volume=["/d"]) == ["up"]
    assert names(publish=["8079-8081"]) == ["up"]
    assert names(publish=["80"]) == names(publish=["8080/udp"]) == []
    assert names(expose=["9000"]) == ["up", "ended", "made"]
    assert names(expose=["80/udp"]) == []
    assert names(label=["of=image"]) == ["up", "ended", "made"]
    assert names(name=["^/?e"]) == ["ended"]
    assert names(is_task=["true"]) == []


@pytest.mark.parametrize(
    "filters",
    [{"status": ["mad"]}, {"health": ["x"]}, {"exited": ["x"]}, {"publish": ["x"]},
     {"expose": ["9-1"]}, {"before": ["nobody"]}, {"is_task": ["x"]}],
)  # fmt: skip
def test_a_value_that_means_nothing_is_refused(filters: dict[str, list[str]]) -> None:
    with pytest.raises((InvalidInput, NotFound)):
        some(filters)


def test_what_may_be_pruned_does_not_run() -> None:
    def left(text: str) -> list[str]:
        filters = Filters.parse(text, ("until", "label", "label!"))
        return [c.name for c in prunable(EVERY, filters, IMAGES.get, now=3.0)]

    assert left("{}") == ["ended", "made"]
    assert left('{"until": ["1.5"]}') == ["made"]
    assert left('{"label!": ["of"]}') == []


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (State(status="created"), "Created"),
        (State(status="running", started_at=40), "Up 2 minutes"),
        (State(status="running", started_at=40, health="starting"),
         "Up 2 minutes (health: starting)"),
        (State(status="running", started_at=40, health="unhealthy"), "Up 2 minutes (unhealthy)"),
        (State(status="paused", started_at=40, health="healthy"), "Up 2 minutes (Paused)"),
        (State(status="exited", exit_code=137, finished_at=100), "Exited (137) About a minute ago"),
        (State(status="restarting", exit_code=1, finished_at=159), "Restarting (1) 1 second ago"),
        (State(status="removing"), "Removal In Progress"),
        (State(status="dead"), "Dead"),
    ],
)  # fmt: skip
def test_a_status_is_told_in_dockers_words(state: State, text: str) -> None:
    assert status_text(container("c", 0, state), 160) == text


def test_a_command_is_told_on_one_line_with_its_arguments_apart() -> None:
    spec = ContainerSpec(image="base", command=("sh", "-c", "echo a b", "it's so", ""))
    assert container_summary(replace(UP, spec=spec), BASE)["Command"] == (
        "sh -c 'echo a b' it's so "
    )


def test_ports_without_an_address_are_those_of_both_families() -> None:
    shown = container_summary(UP, BASE)
    assert shown["Ports"] == [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"PrivatePort": 9000, "Type": "tcp"},
    ]
    assert shown["Labels"] == {"of": "image"}
    assert container_summary(ENDED, CHILD)["Ports"] == []
    assert "SizeRw" not in shown
