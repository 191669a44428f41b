"""A machine of values: what the plans' actions do to records, without doing it to Linux."""

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

    def run(self, plan: Plan, desired: Desired, fails: Callable[[Action], bool]) -> bool:
        """Whether anything was done; what needs a failed action, or has a shut gate, is left."""
        done: set[str] = set()
        known = {action.key for action in plan.actions}
        for action in plan.actions:
            if not done.issuperset(known.intersection(action.needs)):
                continue
            states = [gate_state(g, self.observed(), desired).state for g in action.gates]
            if any(state != "open" for state in states) or fails(action):
                continue
            self.now += 0.01
            self.perform(action)
            done.add(action.key)
        return bool(done)

    def heal(self) -> None:
        """Health checks find what runs healthy, where nothing says otherwise."""
        for name, container in self.containers.items():
            if container.running and container.spec.healthcheck is not None:
                state = replace(container.state, health="healthy")
                self.containers[name] = replace(container, state=state)

    def perform(self, action: Action) -> None:
        match action:
            case PullImage() | BuildImage():
                self.images[action.reference] = f"sha256:{action.reference}"
            case CreateNetwork():
                wanted = action.network
                self.networks[wanted.name] = Network(
                    id=f"n{next(_ids)}", name=wanted.name, driver=wanted.driver,
                    created_at=self.now, internal=wanted.internal, subnet=wanted.subnet,
                    options=wanted.options,
                )  # fmt: skip
            case RemoveNetwork():
                network = self.networks[action.name]
                for container in self.containers.values():
                    if any(e.network_id == network.id for e in container.endpoints):
                        raise Refused(f"{network.name} has {container.name} on it")
                del self.networks[action.name]
            case CreateVolume():
                name = action.volume.name
                self.volumes[name] = Volume(
                    name=name, driver=action.volume.driver, created_at=self.now, mountpoint="/v"
                )
            case RemoveVolume():
                del self.volumes[action.name]
            case _:
                self._perform_on_container(action)

    def _perform_on_container(self, action: Action) -> None:
        match action:
            case CreateContainer():
                self._create(action.name, action.spec, action.image_id)
            case ReplaceContainer():
                self._remove(action.old_id)
                self._create(action.name, action.spec, action.image_id)
            case StartContainer() | RestartContainer():
                self._start(action.name)
            case UpdateContainer():
                old = self._at(action.id)
                self.containers[old.name] = replace(old, spec=action.spec)
            case RenameContainer():
                if action.new_name in self.containers:
                    raise Refused(f"{action.new_name} is taken")
                old = self.containers.pop(self._at(action.id).name)
                self.containers[action.new_name] = replace(old, name=action.new_name)
            case StopContainer():
                old = self._at(action.id)
                ended = State(status="exited", finished_at=self.now, stopped_by_user=True)
                self.containers[old.name] = replace(old, state=ended)
            case RemoveContainer():
                self._remove(action.id)
            case _:
                raise AssertionError(action)

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
        state = State(
            status="running", pid=1, pid_started=1, started_at=self.now,
            health="healthy" if old.spec.healthcheck else "none",
        )  # fmt: skip
        if old.spec.image in self.sick_images:
            state = State(
                status="exited", exit_code=1, started_at=self.now, finished_at=self.now + 0.001
            )
        self.containers[name] = replace(old, state=state)


def converge(
    machine: Machine, desired: Desired, fails: Callable[[Action], bool] = lambda _: False
) -> Desired:
    """What is wanted once nothing is left to do, judgements about updates noted.

    Raises: AssertionError: it goes on and on.
    """
    for _ in range(PASSES):
        machine.heal()
        plan = diff(desired, machine.observed())
        if not plan:
            return desired
        if plan.judgements:
            verdicts = {j.service: j.verdict for j in plan.judgements}
            desired = replace(desired, verdicts={**desired.verdicts, **verdicts})
            continue
        did = machine.run(plan, desired, fails)
        refreshed = {a.reference for a in plan.actions if isinstance(a, PullImage | BuildImage)}
        left = {
            n for n in desired.refresh
            if (s := desired.stack.service(n)) and s.container.image not in refreshed
        }  # fmt: skip
        desired = replace(desired, refresh=frozenset(left))
        if not did and plan.wake_at is not None:
            machine.now = max(machine.now, plan.wake_at)
    raise AssertionError(f"not settled after {PASSES} passes: {plan.lines()} {plan.waiting}")
