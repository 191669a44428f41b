"""From any state of the machine, doing the plans ends with nothing to do, failures or not."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.controller.diff import diff
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import Action
from orchestrator.model.container import (
    Attachment,
    ContainerSpec,
    Healthcheck,
    PortBinding,
    Resources,
    RestartPolicy,
)
from orchestrator.model.observed import State
from orchestrator.model.stack import (
    Condition,
    Dependency,
    Rollout,
    Service,
    Stack,
    StackNetwork,
)
from orchestrator.state.stacks import Desired
from tests.unit.controller.machine import Cut, Machine, a_pass, converge

SERVICES = ("a", "b", "c", "d")


@st.composite
def services(draw: st.DrawFn, name: str, before: tuple[Service, ...]) -> Service:
    """A service that may depend on those before it, or share the namespace of one of them."""
    earlier = [s for s in before if s.scale > 0]
    depends = []
    for other in earlier:
        if draw(st.booleans()):
            healthy = other.container.healthcheck is not None
            conditions: list[Condition] = ["service_started"]
            conditions += ["service_healthy"] if healthy else []
            depends.append(
                Dependency(
                    service=other.name,
                    condition=draw(st.sampled_from(conditions)),
                    restart=draw(st.booleans()),
                )
            )
    single = [s.name for s in earlier if s.scale == 1 and not s.container.network_mode]
    owner = draw(st.sampled_from(["", "", *single]))
    checked = draw(st.booleans())
    return Service(
        name=name,
        scale=draw(st.integers(0, 3)) if not owner else 1,
        depends_on=tuple(depends),
        update=draw(
            st.none()
            | st.builds(
                Rollout,
                parallelism=st.integers(0, 2),
                delay_s=st.sampled_from([0.0, 3.0]),
                monitor_s=st.sampled_from([0.0, 2.0]),
                order=st.sampled_from(["stop-first", "start-first"]),
                failure_action=st.sampled_from(["pause", "continue", "rollback"]),
            )
        ),
        container=ContainerSpec(
            image=draw(st.sampled_from(["img:1", "img:2"])),
            environment={"A": draw(st.sampled_from("xy"))},
            labels={"l": draw(st.sampled_from("xy"))},
            ports=(PortBinding(container_port=80, host_port=draw(st.sampled_from([0, 8080]))),),
            resources=Resources(memory_bytes=draw(st.sampled_from([0, 1 << 26]))),
            restart=RestartPolicy(name=draw(st.sampled_from(["no", "always"]))),
            healthcheck=Healthcheck(test=("CMD", "true")) if checked else None,
            network_mode=f"service:{owner}" if owner else "",
            attachments=() if owner else (Attachment(network="demo_default"),),
        ),
    )


@st.composite
def stacks(draw: st.DrawFn) -> Stack:
    made: tuple[Service, ...] = ()
    for name in SERVICES[: draw(st.integers(1, 4))]:
        made = (*made, draw(services(name, made)))
    internal = draw(st.booleans())
    network = StackNetwork(key="default", name="demo_default", internal=internal)
    return Stack(name="demo", services=made, networks=(network,))


STATES = st.sampled_from(
    [
        State(),
        State(status="running", pid=1, started_at=50.0),
        State(status="running", pid=1, started_at=50.0, health="healthy"),
        State(status="exited", exit_code=0, started_at=40.0, finished_at=60.0),
        State(status="exited", exit_code=137, started_at=40.0, finished_at=150.0),
        State(status="exited", exit_code=1, started_at=40.0, finished_at=60.0, due=True),
        State(status="exited", started_at=40.0, finished_at=60.0, stopped_by_user=True),
        State(status="exited", exit_code=128, error="no", finished_at=150.0, due=True),
        State(exit_code=128, error="no"),
    ]
)


def interrupt(draw: st.DrawFn, machine: Machine, desired: Desired) -> None:
    """Nothing; some of what is wanted was done, each action to its end or to any of its steps."""
    for _ in range(draw(st.integers(1, 3))):
        cuts = cutting(draw, 9)
        desired, plan = a_pass(machine, desired, cuts)
        if not plan:
            return


def cutting(draw: st.DrawFn, most: int) -> Cut:
    """Cuts of any actions, after any of their steps, `most` of them at most."""
    left = [most]

    def cut(_: Action) -> int | None:
        if not left[0] or not draw(st.booleans()):
            return None
        left[0] -= 1
        return draw(st.integers(0, 3))

    return cut


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """A machine on which another stack of that name was brought up, and then meddled with."""
    machine = Machine(Observed(now=10.0))
    if draw(st.booleans()):
        converge(machine, Desired(stack=draw(stacks()), since=10.0))
        # Others were wished for since, and given up, or interrupted with their engine.
        for _ in range(draw(st.integers(0, 2))):
            interrupt(draw, machine, Desired(stack=draw(stacks()), since=machine.now))
    for name in sorted(machine.containers):
        match draw(st.sampled_from(["leave", "leave", "leave", "remove", "alter", "rename"])):
            case "remove":
                del machine.containers[name]
            case "alter":
                state = draw(STATES)
                machine.containers[name] = replace(machine.containers[name], state=state)
            case "rename":
                renamed = replace(machine.containers.pop(name), name=f"was-{name}")
                machine.containers[renamed.name] = renamed
    if draw(st.booleans()) and not machine.containers:
        machine.networks.clear()
    machine.now = 200.0
    return machine


@st.composite
def wishes(draw: st.DrawFn) -> Desired:
    stack = draw(stacks())
    names = [s.name for s in stack.services]
    return Desired(
        stack=stack,
        since=100.0,
        refresh=frozenset(draw(st.sets(st.sampled_from(names)))),
        force=frozenset(draw(st.sets(st.sampled_from(names)))),
        remove_orphans=draw(st.booleans()),
        renew_volumes=draw(st.booleans()),
        restarted=draw(st.dictionaries(st.sampled_from(names), st.just(100.0))),
    )


def running(machine: Machine, desired: Desired) -> None:
    """Every container of the stack is there, once, as the file has it, and runs; but for services
    whose update is paused, which stay as they are."""
    paused = {name for name, verdict in desired.verdicts.items() if verdict.action == "pause"}
    ids = {c.id for c in machine.containers.values()}
    for service in desired.stack.services:
        if service.name in paused:
            continue
        own = machine.observed().of_service(service.name)
        assert len(own) == service.scale, (service.name, own)
        for container in own:
            assert container.running, container
            assert container.spec.image == service.container.image
            for owner in container.state.joined:
                assert owner in ids, f"{container.name} is in the namespace of one that is gone"


@settings(max_examples=200, deadline=None)
@given(machines(), wishes())
def test_a_stack_that_is_wanted_runs_in_the_end(machine: Machine, desired: Desired) -> None:
    settled = converge(machine, desired)
    assert not diff(settled, machine.observed())
    running(machine, settled)


@settings(max_examples=200, deadline=None)
@given(machines(), wishes(), st.data())
def test_actions_that_fail_midway_are_made_up_for(
    machine: Machine, desired: Desired, data: st.DataObject
) -> None:
    cut = cutting(data.draw, data.draw(st.integers(0, 6), label="failures"))
    settled = converge(machine, desired, cut)
    assert not diff(settled, machine.observed())
    running(machine, settled)


@settings(max_examples=100, deadline=None)
@given(machines(), wishes(), st.sampled_from(["stopped", "removed"]), st.data())
def test_a_stack_that_is_not_wanted_is_gone_in_the_end(
    machine: Machine, desired: Desired, wish: str, data: st.DataObject
) -> None:
    cut = cutting(data.draw, data.draw(st.integers(0, 6), label="failures"))
    settled = converge(machine, replace(desired, wish=wish), cut)  # type: ignore[arg-type]
    assert not diff(settled, machine.observed())
    assert not any(c.running for c in machine.containers.values())
    if wish == "removed":
        assert not machine.containers
        assert not machine.networks


@settings(max_examples=100, deadline=None)
@given(machines(), wishes())
def test_what_is_settled_stays_so_for_the_same_wish_made_again(
    machine: Machine, desired: Desired
) -> None:
    settled = converge(machine, desired)
    again = replace(settled, since=machine.now, force=frozenset(), restarted={})
    assert not diff(again, machine.observed()).actions
