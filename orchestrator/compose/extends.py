"""Phase four: a service that extends another starts from that one's attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path

from orchestrator.compose.complete import require
from orchestrator.compose.interpolate import interpolate, verbatim
from orchestrator.compose.merge import merge, settled
from orchestrator.compose.node import Node
from orchestrator.compose.phases import ALL, Phases
from orchestrator.compose.problems import Findings, did_you_mean
from orchestrator.compose.project import shown
from orchestrator.compose.schema.files import EXTENDS
from orchestrator.compose.schema.kinds import Reading
from orchestrator.compose.schema.service import SERVICE
from orchestrator.compose.source import read_file
from orchestrator.model.value import dataclass

_Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Extender:
    """Extends the services of one file; those of `earlier` files may be started from as well."""

    findings: Findings
    environ: Mapping[str, str]
    file: str
    tree: Node
    earlier: Node
    reading: Reading
    phases: Phases = ALL
    _others: dict[str, dict[str, Node]] = field(default_factory=dict)

    def extended(self) -> Node:
        """The file's tree with every `extends` carried out and gone."""
        services = self.tree.get("services")
        if services is None or not services.entries:
            return self.tree
        own = {
            name: self._extended(service, f"services.{name}", ((self.file, name),))
            for name, service in services.entries.items()
        }
        return self.tree.holding({**self.tree.entries, "services": services.holding(own)})

    def _extended(self, service: Node, at: str, chain: tuple[_Place, ...]) -> Node:
        extends = service.get("extends")
        if extends is None or extends.tag == "reset":
            return service
        rest = service.holding({k: v for k, v in service.entries.items() if k != "extends"})
        require(EXTENDS, extends, f"{at}.extends", self.findings)
        name, file = extends.get("service"), extends.get("file")
        if name is None or not name.string or (file is not None and not file.string):
            return rest
        if file and not Path(file.string).is_file():
            where = shown(Path(file.string))
            self.findings.add(file.mark, f"{at}.extends.file", f"there is no file {where}")
            return rest
        place = (file.string if file else chain[-1][0], name.string)
        if place in chain:
            self._tell_of_circle(extends, at, (*chain, place))
            return rest
        base = self._base(place, name, f"{at}.extends")
        if base is None:
            return rest
        base = self._extended(base, f"services.{name.string}", (*chain, place))
        return merge(SERVICE, settled(base), rest) if not service.tag else rest

    def _tell_of_circle(self, extends: Node, at: str, chain: tuple[_Place, ...]) -> None:
        first, *_, last = chain
        # Each service on a circle in this file meets it; the first by name tells.
        if last[0] != self.file or (last == first and first == min(chain)):
            names = " -> ".join(service for _, service in chain)
            self.findings.add(extends.mark, f"{at}.extends", f"services extend each other: {names}")

    def _base(self, place: _Place, asked: Node, at: str) -> Node | None:
        file, name = place
        known = self._services_of(file)
        if name not in known:
            hint = did_you_mean(name, known)
            self.findings.add(
                asked.mark, at, f'there is no service "{name}" in {shown(Path(file))}', hint
            )
            return None
        raw = known[name]
        if file == self.file:
            return raw
        # Only the service that is asked for is read: the rest of the file is nobody's business.
        path = f"services.{name}"
        reading = replace(self.reading, base=Path(file).parent)
        if self.phases.interpolate:
            raw = interpolate(raw, path, self.environ, self.findings)
        else:
            raw = verbatim(raw)
        return SERVICE.read(raw, path, reading)

    def _services_of(self, file: str) -> dict[str, Node]:
        if file == self.file:
            services = self.tree.get("services")
            before = self.earlier.get("services")
            return {
                **(before.entries if before else {}),
                **(services.entries if services else {}),
            }
        if file not in self._others:
            found: dict[str, Node] = {}
            for document in read_file(Path(file), shown(Path(file)), self.findings):
                services = document.get("services")
                found |= services.entries if services else {}
            self._others[file] = found
        return self._others[file]
