"""A machine of values: what the plans' actions do to records, without doing it to Linux.

An action is done in steps, as the engine does it, and may be cut short after any of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

from orchestrator.controller.diff import diff
from orchestrator.controller.gates import gate_state
from orchestrator.controller.observed import Observed
from orchestrator.controller.plan import (
    Action,
    BuildImage,
    CreateContainer,
    CreateNetwork,
    CreateVolume,
    Plan,
    PullImage,
    RemoveContainer,
    RemoveNetwork,
    RemoveVolume,
    RenameContainer,
    ReplaceContainer,
    RestartContainer,
    StartContainer,
    StopContainer,
    UpdateContainer,
)
from orchestrator.model.container import ContainerSpec
from orchestrator.model.observed import Container, Endpoint, Network, State, Volume
from orchestrator.state.stacks import Desired

PASSES = 60

# After how many of its steps an action fails; None where it does not.
Cut = Callable[[Action], int | None]
_ids = itertools.count(1)


class Refused(Exception):
    """An action that a real engine would refuse: the plan was wrong."""


class Machine:
    """Containers, networks, volumes and images of one stack; `now` goes on with each action."""

    def __init__(self, observed: Observed, sick_images: frozenset[str] = frozenset()) -> None:
        self.containers = dict(observed.containers)
        self.networks = dict(observed.networks)
        self.volumes = dict(observed.volumes)
        self.images = dict(observed.images)
        self.now = observed.now
        self.sick_images = sick_images
        self.started: list[str] = []

    def observed(self) -> Observed:
        return Observed(
            containers=dict(self.containers),
            networks=dict(self.networks),
            volumes=dict(self.volumes),
            images=dict(self.images),
            now=self.now,
        )

    def run(self, plan: Plan, desired: Desired, cut: Cut) -> bool:
        """Whether anything was done; what needs a failed action, or has a shut gate, is left."""
        done: set[str] = set()
        known = {action.key for action in plan.actions}
        for action in plan.actions:
            if not done.issuperset(known.intersection(action.needs)):
                continue
            states = [gate_state(g, self.observed(), desired).state for g in action.gates]
            if any(state != "open" for state in states):
                continue
            if self.perform(action, cut(action)):
                done.add(action.key)
        return bool(done)

    def heal(self) -> None:
        """Health checks find what runs healthy, where nothing says otherwise."""
        for name, container in self.containers.items():
            if container.running and container.spec.healthcheck is not None:
                state = replace(container.state, health="healthy")
                self.containers[name] = replace(container, state=state)

    def perform(self, action: Action, cut: int | None = None) -> bool:
        """Whether it was done whole: it fails after `cut` steps, where it has more of them."""
        for number, step in enumerate(self._steps(action)):
            if number == cut:
                self._fail(action)
                return False
            self.now += 0.01
            step()
        return True

    def _fail(self, action: Action) -> None:
        """What a failure leaves on record besides what was done before it."""
        if isinstance(action, StartContainer | RestartContainer):
            old = self.containers[action.name]
            if not old.running:
                due = old.state.status == "exited"
                state = replace(
                    old.state, exit_code=128, error="no", due=due, stopped_by_user=False
                )
                self.containers[action.name] = replace(old, state=state)

    def _steps(self, action: Action) -> list[Callable[[], object]]:
        match action:
            case PullImage() | BuildImage():
                return [
                    lambda: self.images.update({action.reference: f"sha256:{action.reference}"})
                ]
            case CreateNetwork():
                return [lambda: self._create_network(action)]
            case RemoveNetwork():
                return [lambda: self._remove_network(action.name)]
            case CreateVolume():
                wanted = action.volume
                made = Volume(
                    name=wanted.name, driver=wanted.driver, created_at=self.now, mountpoint="/v"
                )
                return [lambda: self.volumes.update({wanted.name: made})]
            case RemoveVolume():
                return [lambda: self.volumes.pop(action.name)]
            case _:
                return self._steps_on_container(action)

    def _create_network(self, action: CreateNetwork) -> None:
        wanted = action.network
        self.networks[wanted.name] = Network(
            id=f"n{next(_ids)}", name=wanted.name, driver=wanted.driver,
            created_at=self.now, internal=wanted.internal, subnet=wanted.subnet,
            options=wanted.options,
        )  # fmt: skip

    def _remove_network(self, name: str) -> None:
        network = self.networks[name]
        for container in self.containers.values():
            if any(e.network_id == network.id for e in container.endpoints):
                raise Refused(f"{network.name} has {container.name} on it")
        del self.networks[name]

    def _steps_on_container(self, action: Action) -> list[Callable[[], object]]:  # noqa: PLR0911
        match action:
            case CreateContainer():
                return [lambda: self._create(action.name, action.spec, action.image_id)]
            case ReplaceContainer():
                return self._steps_of_replacing(action)
            case StartContainer():
                return [lambda: self._start(action.name)]
            case RestartContainer():
                return [lambda: self._stop(action.id), lambda: self._start(action.name)]
            case UpdateContainer():
                return [lambda: self._put(replace(self._at(action.id), spec=action.spec))]
            case RenameContainer():
                return [lambda: self._rename(action.id, action.new_name)]
            case StopContainer():
                return [lambda: self._stop(action.id)]
            case RemoveContainer():
                return [lambda: self._stop(action.id), lambda: self._remove(action.id)]
            case _:
                raise AssertionError(action)

    def _steps_of_replacing(self, action: ReplaceContainer) -> list[Callable[[], object]]:
        out: list[Callable[[], object]] = [
            lambda: self._stop(action.old_id),
            lambda: self._remove(action.old_id),
        ]
        if not action.beside:
            return [*out, lambda: self._create(action.name, action.spec, action.image_id)]
        return [
            lambda: self._create(action.beside, action.spec, action.image_id),
            *out,
            lambda: self._rename(self.containers[action.beside].id, action.name),
        ]

    def _put(self, container: Container) -> None:
        self.containers[container.name] = container

    def _rename(self, identifier: str, name: str) -> None:
        if name in self.containers:
            raise Refused(f"{name} is taken")
        old = self.containers.pop(self._at(identifier).name)
        self._put(replace(old, name=name))

    def _stop(self, identifier: str) -> None:
        old = self._at(identifier)
        if old.running:
            ended = State(
                status="exited", started_at=old.state.started_at, finished_at=self.now,
                stopped_by_user=True,
            )  # fmt: skip
            self._put(replace(old, state=ended))

    def _at(self, identifier: str) -> Container:
        return next(c for c in self.containers.values() if c.id == identifier)

    def _remove(self, identifier: str) -> None:
        del self.containers[self._at(identifier).name]

    def _create(self, name: str, spec: ContainerSpec, image_id: str) -> None:
        if name in self.containers:
            raise Refused(f"{name} is taken")
        image = image_id or self.images.get(spec.image)
        if image is None:
            raise Refused(f"there is no image {spec.image}")
        for attachment in spec.attachments:
            if attachment.network not in self.networks:
                raise Refused(f"there is no network {attachment.network}")
        self.containers[name] = Container(
            id=f"c{next(_ids)}", name=name, spec=spec, image_id=image, created_at=self.now,
            endpoints=tuple(
                Endpoint(
                    network_id=self.networks[a.network].id, network_name=a.network, interface="eth0"
                )
                for a in spec.attachments
            ),
        )  # fmt: skip

    def _start(self, name: str) -> None:
        old = self.containers[name]
        mode = old.spec.network_mode.removeprefix("container:")
        if mode != old.spec.network_mode and not self.containers[mode].running:
            raise Refused(f"{name} shares the network of {mode}, which does not run")
        self.started.append(name)
        joined = (self.containers[mode].id,) if mode != old.spec.network_mode else ()
        state = State(
            status="running", pid=1, pid_started=1, started_at=self.now, joined=joined,
            health="healthy" if old.spec.healthcheck else "none",
        )  # fmt: skip
        if old.spec.image in self.sick_images:
            state = State(
                status="exited", exit_code=1, started_at=self.now, finished_at=self.now + 0.001
            )
        self.containers[name] = replace(old, state=state)


def converge(machine: Machine, desired: Desired, cut: Cut = lambda _: None) -> Desired:
    """What is wanted once nothing is left to do, judgements about updates noted.

    Raises: AssertionError: it goes on and on.
    """
    for _ in range(PASSES):
        desired, plan = a_pass(machine, desired, cut)
        if not plan:
            return desired
    raise AssertionError(f"not settled after {PASSES} passes: {plan.lines()} {plan.waiting}")


def a_pass(machine: Machine, desired: Desired, cut: Cut) -> tuple[Desired, Plan]:
    """What is wanted after one pass of a stack's loop, and the plan that it was made by."""
    machine.heal()
    plan = diff(desired, machine.observed())
    if plan.judgements:
        verdicts = {j.service: j.verdict for j in plan.judgements}
        return replace(desired, verdicts={**desired.verdicts, **verdicts}), plan
    did = machine.run(plan, desired, cut)
    refreshed = {a.reference for a in plan.actions if isinstance(a, PullImage | BuildImage)}
    left = {
        n for n in desired.refresh
        if (s := desired.stack.service(n)) and s.container.image not in refreshed
    }  # fmt: skip
    if not did and plan.wake_at is not None:
        machine.now = max(machine.now, plan.wake_at)
    return replace(desired, refresh=frozenset(left)), plan
