"""Phase seven: what one part of the stack says of another must hold.

Works on the canonical tree and steps over what was refused before, so that one mistake is told
once.
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.compose.dependencies import all_of, cycle, implied
from orchestrator.compose.node import Node
from orchestrator.compose.problems import Findings, did_you_mean
from orchestrator.compose.profiles import profiles_of, takes_part
from orchestrator.model.value import dataclass

# Pairs of keys that say the same thing, which then must agree.
_TWICE = (
    (("scale",), ("deploy", "replicas")),
    (("cpus",), ("deploy", "resources", "limits", "cpus")),
    (("mem_limit",), ("deploy", "resources", "limits", "memory")),
    (("pids_limit",), ("deploy", "resources", "limits", "pids")),
    (("mem_reservation",), ("deploy", "resources", "reservations", "memory")),
)
_SOURCES = {"configs": ("file", "content", "environment"), "secrets": ("file", "environment")}


def check_references(tree: Node, active: frozenset[str], findings: Findings) -> None:
    """Note every reference to what is not there, and every contradiction."""
    services = (tree.get("services") or tree.holding({})).entries
    taking_part = {n: s for n, s in services.items() if takes_part(s, active)}
    checks = _Checks(tree, services, taking_part, findings)
    for name, service in taking_part.items():
        if isinstance(service.value, dict):
            checks.service(name, service)
    checks.names()
    checks.resources()
    if found := cycle(taking_part):
        where = all_of(taking_part[found[0]])[found[1]]
        findings.add(
            where.key,
            f"services.{found[0]}.depends_on",
            f"services depend on each other: {' -> '.join(found)}",
            "remove one of these dependencies",
        )


@dataclass(frozen=True, slots=True)
class _Checks:
    tree: Node
    services: dict[str, Node]
    taking_part: dict[str, Node]
    findings: Findings

    def service(self, name: str, service: Node) -> None:
        at = f"services.{name}"
        image = service.get("image")
        named = image is not None and (image.invalid or image.value != "")
        if not named and not {"build", "provider"} & service.entries.keys():
            self.findings.add(
                service.key, at, "has neither an image nor a build", 'add "image" or "build"'
            )
        if (spec := service.get("credential_spec")) is not None:
            self.findings.add(
                spec.key,
                f"{at}.credential_spec",
                "only Windows containers have credential specs",
                "remove it",
            )
        self._networks(service, at)
        self._mounts(service, at)
        self._dependencies(name, service, at)
        for section in ("configs", "secrets"):
            granted = service.get(section)
            for number, grant in enumerate(granted.items if granted else ()):
                if source := grant.get("source"):
                    self._declared(source, source.string, section, f"{at}.{section}[{number}]")
        built_with = service.get("build", "secrets")
        for number, grant in enumerate(built_with.items if built_with else ()):
            if source := grant.get("source"):
                here = f"{at}.build.secrets[{number}]"
                self._declared(source, source.string, "secrets", here)
        self._agreement(service, at)

    def _declared(self, node: Node, name: str, section: str, at: str) -> None:
        """A name must be a key of a section at the top of the file."""
        declared = (self.tree.get(section) or self.tree.holding({})).entries
        if name and name not in declared and not (section == "networks" and name == "default"):
            kind = section.removesuffix("s")
            hint = did_you_mean(name, declared) or f'declare it under "{section}" at the top'
            self.findings.add(node.key, at, f'there is no {kind} "{name}"', hint)

    def _networks(self, service: Node, at: str) -> None:
        networks, mode = service.get("networks"), service.get("network_mode")
        for name, node in (networks.entries if networks else {}).items():
            self._declared(node, name, "networks", f"{at}.networks.{name}")
        if networks and mode:
            self.findings.add(
                mode.key, f"{at}.network_mode", "cannot be combined with networks", "keep one"
            )

    def _mounts(self, service: Node, at: str) -> None:
        mounts = service.get("volumes")
        for number, mount in enumerate(mounts.items if mounts else ()):
            kind, source = mount.get("type"), mount.get("source")
            here = f"{at}.volumes[{number}]"
            if kind and kind.value == "volume" and source:
                self._declared(source, source.string, "volumes", here)
            if kind and kind.value == "bind" and source is None:
                self.findings.add(mount.mark, here, "a bind mount needs a source")

    def _dependencies(self, name: str, service: Node, at: str) -> None:
        declared = service.get("depends_on")
        for other, node in (declared.entries if declared else {}).items():
            required = node.get("required")
            if required is None or required.value is not False:
                self._known(name, other, node, f"{at}.depends_on.{other}")
        for other, key, node in implied(service):
            if other and not node.invalid:
                self._shared(name, other, node, f"{at}.{key}")

    def _shared(self, name: str, other: str, node: Node, at: str) -> None:
        """What another's containers are needed for cannot be had of a service without any."""
        self._known(name, other, node, at)
        if other in self.taking_part and self.services[other].get("provider") is not None:
            self.findings.add(
                node.key,
                at,
                f'the service "{other}" is left to a provider: it has no containers here',
                "name a service with an image",
            )

    def _known(self, name: str, other: str, node: Node, at: str) -> None:
        if other == name:
            self.findings.add(node.key, at, "a service cannot depend on itself")
        elif other not in self.services:
            hint = did_you_mean(other, self.services)
            self.findings.add(node.key, at, f'there is no service "{other}"', hint)
        elif other not in self.taking_part:
            profiles = " or ".join(profiles_of(self.services[other]))
            self.findings.add(
                node.key,
                at,
                f'the service "{other}" takes no part, as none of its profiles is active',
                f"activate {profiles}, or say required: false",
            )

    def _agreement(self, service: Node, at: str) -> None:
        for one, other in _TWICE:
            first, second = service.get(*one), service.get(*other)
            if first and second and first.value != second.value:
                if first.invalid or second.invalid:
                    continue
                self.findings.add(
                    first.key, f"{at}.{one[0]}", f"differs from {'.'.join(other)}", "keep one"
                )
        name, scale = service.get("container_name"), self._scale(service)
        if name and scale and isinstance(scale.value, int) and scale.value > 1:
            self.findings.add(
                name.key,
                f"{at}.container_name",
                f"{scale.value} containers cannot have one name",
                "remove container_name or the scale",
            )

    def _scale(self, service: Node) -> Node | None:
        return service.get("scale") or service.get("deploy", "replicas")

    def names(self) -> None:
        """No two services ask for one container name."""
        owners: dict[str, str] = {}
        for name, service in self.taking_part.items():
            asked = service.get("container_name")
            if not asked or not asked.string:
                continue
            if asked.string in owners:
                self.findings.add(
                    asked.key,
                    f"services.{name}.container_name",
                    f'"{asked.string}" is the name of {owners[asked.string]} already',
                )
            owners.setdefault(asked.string, name)

    def resources(self) -> None:
        """External things have no settings of ours; configs and secrets come from somewhere."""
        for section in ("networks", "volumes"):
            for key, node in self._section(section):
                external = node.get("external")
                if external is None or external.value is False or external.invalid:
                    continue
                old, name = external.get("name"), node.get("name")
                if old and name and old.value != name.value:
                    self.findings.add(
                        old.key, f"{section}.{key}.external.name", "differs from name", "keep name"
                    )
                allowed = ("external", "name")
                for other, said in node.entries.items():
                    if other in allowed or other.startswith("x-") or said.value == {}:
                        continue
                    at, why = f"{section}.{key}.{other}", "has no meaning for what is external"
                    # Compose lets it through for networks.
                    if section == "networks":
                        self.findings.warn(said.key, at, why)
                    else:
                        self.findings.add(said.key, at, why, "remove it, or remove external")
        for section, sources in _SOURCES.items():
            for key, node in self._section(section):
                if not {*sources, "external", "driver"} & node.entries.keys():
                    self.findings.add(
                        node.key, f"{section}.{key}", f"needs one of {', '.join(sources)}"
                    )
                _, *more = [source for source in sources if source in node.entries] or [""]
                for source in more:
                    self.findings.add(
                        node.entries[source].key,
                        f"{section}.{key}.{source}",
                        f"only one of {', '.join(sources)} can be given",
                        "keep one",
                    )

    def _section(self, section: str) -> Iterable[tuple[str, Node]]:
        node = self.tree.get(section)
        return [(k, v) for k, v in (node.entries if node else {}).items() if not v.invalid]
