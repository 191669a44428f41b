"""The pure part of the controller: what differs, in which order it is mended, and why."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.controller.desired import container_name, container_spec
from orchestrator.controller.diff import diff
from orchestrator.controller.gates import gate_state
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Gate, ReplaceContainer
from orchestrator.model.container import Attachment, ContainerSpec, Mount
from orchestrator.model.observed import Container, Network, State, Volume
from orchestrator.model.stack import Dependency, Service, Stack, StackNetwork, StackVolume
from orchestrator.state.stacks import Desired

SINCE = 100.0
RUNNING = State(status="running", pid=1, pid_started=1, started_at=90.0)


def stack(**images: str) -> Stack:
    return Stack(
        name="demo",
        services=tuple(
            Service(
                name=name,
                container=ContainerSpec(
                    image=image,
                    attachments=(Attachment(network="demo_default", aliases=(name,)),),
                ),
            )
            for name, image in images.items()
        ),
        networks=(StackNetwork(key="default", name="demo_default"),),
    )


def observed(of: Stack, state: State = RUNNING, **images: str) -> Observed:
    containers = {}
    for service in of.services:
        for number in range(1, service.scale + 1):
            name = container_name(of, service, number)
            containers[name] = Container(
                id=f"id-of-{name}",
                name=name,
                spec=container_spec(of, service, number),
                image_id=f"sha256:{service.container.image}",
                created_at=80.0,
                state=state,
            )
    return Observed(
        containers=containers,
        networks={
            n.name: Network(id=n.name, name=n.name, driver="bridge", created_at=0.0)
            for n in of.networks
        },
        volumes={
            v.name: Volume(name=v.name, driver="local", created_at=0.0, mountpoint="/v")
            for v in of.volumes
        },
        images={s.container.image: f"sha256:{s.container.image}" for s in of.services} | images,
    )


def test_nothing_differs_from_what_was_made_of_the_same_stack() -> None:
    wanted = stack(web="img:1", db="img:2")
    assert diff(Desired(stack=wanted, since=SINCE), observed(wanted)).lines() == []


def test_an_empty_machine_gets_images_networks_and_containers_in_order_of_need() -> None:
    wanted = stack(web="img:1", db="img:1")
    web, db = wanted.services
    needs_db = Dependency(service="db", condition="service_healthy")
    wanted = replace(wanted, services=(replace(web, depends_on=(needs_db,)), db))
    plan = diff(Desired(stack=wanted, since=SINCE), Observed())
    assert plan.lines() == [
        "pull image img:1",
        "create network demo_default",
        "create container demo-db-1",
        "start container demo-db-1",
        "create container demo-web-1",
        "start container demo-web-1 (once db is healthy)",
    ]
    by_key = {action.key: action for action in plan.actions}
    assert by_key["create container demo-web-1"].needs == (
        "pull image img:1",
        "create network demo_default",
    )


def test_a_changed_image_replaces_the_container_and_says_why() -> None:
    before, wanted = stack(web="img:1"), stack(web="img:2")
    there = observed(before)
    there = replace(there, images={"img:2": "sha256:other"})
    assert diff(Desired(stack=wanted, since=SINCE), there).lines() == [
        "replace container demo-web-1: image img:1 -> img:2",
        "start container demo-web-1",
    ]


def test_a_tag_that_names_another_image_now_replaces_the_container() -> None:
    wanted = stack(web="img:1")
    there = observed(wanted, **{"img:1": "sha256:built-again"})
    assert diff(Desired(stack=wanted, since=SINCE), there).lines() == [
        "replace container demo-web-1: image img:1 img:1 -> built-again",
        "start container demo-web-1",
    ]


def test_a_replaced_container_hands_on_its_anonymous_volumes_only() -> None:
    before = stack(web="img:1")
    there = observed(before)
    old = there.containers["demo-web-1"]
    mounts = (
        Mount(kind="volume", target="/cache", source="anonymous"),
        Mount(kind="bind", target="/etc/x", source="/x"),
    )
    there = replace(there, containers={old.name: replace(old, mounts=mounts)})
    plan = diff(Desired(stack=stack(web="img:2"), since=SINCE), there)
    replaced = next(a for a in plan.actions if isinstance(a, ReplaceContainer))
    assert replaced.kept_volumes == {"/cache": "anonymous"}


def test_a_replaced_dependency_restarts_those_that_follow_it_and_those_that_follow_them() -> None:
    before = stack(page="img:1", middle="img:1", settings="img:1")
    page, middle, settings = before.services

    def following(service: Service, name: str) -> Service:
        return replace(service, depends_on=(Dependency(service=name, restart=True),))

    before = replace(
        before, services=(following(page, "middle"), following(middle, "settings"), settings)
    )
    changed = replace(settings, container=replace(settings.container, image="img:2"))
    wanted = replace(before, services=(*before.services[:2], changed))
    there = observed(before)
    there = replace(there, images={**there.images, "img:2": "sha256:img:2"})
    reason = "settings, which it depends on, was replaced (once {} has started)"
    assert diff(Desired(stack=wanted, since=SINCE), there).lines() == [
        "replace container demo-settings-1: image img:1 -> img:2",
        "start container demo-settings-1",
        f"restart container demo-middle-1: {reason.format('settings')}",
        f"restart container demo-page-1: {reason.format('middle')}",
    ]


def test_values_of_variables_never_appear_in_a_plan() -> None:
    before = stack(web="img:1")
    web = before.services[0]
    secret = replace(web.container, environment={"PASSWORD": "hunter2"})
    wanted = replace(before, services=(replace(web, container=secret),))
    lines = diff(Desired(stack=wanted, since=SINCE), observed(before)).lines()
    assert lines[0] == "replace container demo-web-1: environment.PASSWORD"
    assert "hunter2" not in "".join(lines)


def test_what_ended_by_itself_stays_ended_until_it_is_asked_for_again() -> None:
    wanted = stack(job="img:1")
    ended = State(status="exited", exit_code=0, started_at=101.0, finished_at=102.0)
    there = observed(wanted, state=ended)
    assert diff(Desired(stack=wanted, since=SINCE), there).lines() == []
    assert diff(Desired(stack=wanted, since=103.0), there).lines() == [
        "start container demo-job-1: it ended with exit code 0"
    ]


def test_a_smaller_scale_removes_the_highest_numbers() -> None:
    one = stack(web="img:1")
    three = replace(one, services=(replace(one.services[0], scale=3),))
    assert diff(Desired(stack=one, since=SINCE), observed(three)).lines() == [
        "remove container demo-web-2: web has scale 1",
        "remove container demo-web-3: web has scale 1",
    ]


def test_a_container_of_a_service_that_is_gone_is_named_and_removed_only_if_asked() -> None:
    there = observed(stack(web="img:1", old="img:1"))
    wanted = Desired(stack=stack(web="img:1"), since=SINCE)
    plan = diff(wanted, there)
    assert plan.lines() == []
    assert "demo-old-1" in plan.warnings[0]
    assert diff(replace(wanted, remove_orphans=True), there).lines() == [
        "remove container demo-old-1: not in the stack file"
    ]


def test_whose_mounts_are_taken_is_made_first() -> None:
    wanted = stack(taker="img:1", giver="img:2")
    taker, giver = wanted.services
    taking = replace(taker.container, volumes_from=("giver:ro",))
    wanted = replace(wanted, services=(replace(taker, container=taking), giver))
    plan = diff(Desired(stack=wanted, since=SINCE), Observed())
    (made,) = (a for a in plan.actions if a.key == "create container demo-taker-1")
    assert "create container demo-giver-1" in made.needs


def test_what_runs_of_an_inactive_profile_is_left_alone_and_is_no_orphan() -> None:
    before = stack(web="img:1", tool="img:1")
    wanted = replace(before, services=before.services[:1], inactive=("tool",))
    plan = diff(Desired(stack=wanted, since=SINCE, remove_orphans=True), observed(before))
    assert (plan.lines(), plan.warnings) == ([], ())


def test_down_removes_dependents_first_and_keeps_volumes_unless_asked() -> None:
    wanted = stack(web="img:1", db="img:1")
    web, db = wanted.services
    wanted = replace(
        wanted,
        services=(replace(web, depends_on=(Dependency(service="db"),)), db),
        volumes=(StackVolume(key="data", name="demo_data"),),
    )
    down = Desired(stack=wanted, wish="removed")
    plan = diff(down, observed(wanted))
    assert plan.lines() == [
        "remove container demo-web-1",
        "remove container demo-db-1",
        "remove network demo_default",
    ]
    assert plan.actions[1].needs == ("remove container demo-web-1",)
    assert diff(replace(down, remove_volumes=True), observed(wanted)).lines()[-1] == (
        "remove volume demo_data"
    )


def test_stopping_stops_only_what_runs() -> None:
    wanted = stack(web="img:1")
    stop = Desired(stack=wanted, wish="stopped")
    assert diff(stop, observed(wanted)).lines() == ["stop container demo-web-1"]
    ended = State(status="exited", finished_at=1.0)
    assert diff(stop, observed(wanted, state=ended)).lines() == []


def test_a_gate_opens_with_health_and_breaks_where_it_never_can() -> None:
    wanted = stack(db="img:1")
    gate = Gate(service="db", condition="service_healthy")

    def at(state: State) -> str:
        return gate_state(
            gate, observed(wanted, state=state), Desired(stack=wanted, since=SINCE)
        ).state

    assert at(replace(RUNNING, health="starting")) == "shut"
    assert at(replace(RUNNING, health="healthy")) == "open"
    assert at(replace(RUNNING, health="unhealthy")) == "broken"
    assert at(RUNNING) == "broken", "it has no health check"
    assert at(State(status="exited", exit_code=1, finished_at=101.0)) == "broken"


def test_a_completed_dependency_must_have_ended_well() -> None:
    wanted = stack(job="img:1")
    gate = Gate(service="job", condition="service_completed_successfully")

    def at(state: State) -> str:
        return gate_state(
            gate, observed(wanted, state=state), Desired(stack=wanted, since=SINCE)
        ).state

    assert at(RUNNING) == "shut"
    assert at(State(status="exited", exit_code=0, finished_at=101.0)) == "open"
    assert at(State(status="exited", exit_code=2, finished_at=101.0)) == "broken"
    assert at(State(status="exited", exit_code=0, finished_at=99.0)) == "shut"
