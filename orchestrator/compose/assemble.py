"""The files of a project become one canonical tree: read, interpolated, extended, included, merged.

Every file is brought into canonical form first, so that merging never meets a short form, and
each relative path is made absolute against the directory that its own file counts from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.compose.dotenv import read_dotenv
from orchestrator.compose.extends import Extender
from orchestrator.compose.interpolate import interpolate, verbatim
from orchestrator.compose.merge import merge, settled
from orchestrator.compose.node import Mark, Node
from orchestrator.compose.opening import documents
from orchestrator.compose.phases import ALL, Phases
from orchestrator.compose.problems import Findings
from orchestrator.compose.project import shown
from orchestrator.compose.schema.kinds import Reading
from orchestrator.compose.schema.stack import STACK
from orchestrator.model.value import dataclass

_SHARED = ("services", "networks", "volumes", "configs", "secrets", "models")


@dataclass(frozen=True, slots=True)
class Assembly:
    """Assembles one project's files; `including` are the files that led to these."""

    findings: Findings
    base: Path
    environ: Mapping[str, str]
    including: tuple[str, ...] = ()
    phases: Phases = ALL
    root: Path | None = None

    def tree(self, files: Sequence[str], read: Mapping[str, list[Node]] | None = None) -> Node:
        """The canonical tree of the files together; `read` has documents that are at hand."""
        whole = Node({}, Mark(files[0], 1, 1))
        for file in files:
            found = (read or {}).get(file)
            for document in documents(file, self.findings) if found is None else found:
                whole = merge(STACK, whole, self._canonical(document, file, whole))
        return whole

    def _canonical(self, document: Node, file: str, earlier: Node) -> Node:
        root = None if self.phases.resolve_paths else self.root or self.base
        reading = Reading(self.findings, self.base, self.environ.get("HOME", "/"), root)
        if not isinstance(document.value, dict):
            reading.expected(document, "", "a mapping with services")
            return document.holding({})
        raw = self._with_values(document)
        tree = STACK.read(raw, "", reading)
        extender = Extender(self.findings, self.environ, file, tree, earlier, reading, self.phases)
        tree = extender.extended()
        for number, include in enumerate((tree.get("include") or tree.holding([])).items):
            tree = self._included(tree, include, f"include[{number}]", file)
        return tree.holding({k: v for k, v in tree.entries.items() if k != "include"})

    def _with_values(self, document: Node) -> Node:
        if self.phases.interpolate:
            return interpolate(document, "", self.environ, self.findings)
        return verbatim(document)

    def _included(self, tree: Node, include: Node, at: str, file: str) -> Node:
        paths = [node.string for node in (include.get("path") or include.holding([])).items]
        if not paths or not all(paths):
            if isinstance(include.value, dict) and "path" not in include.entries:
                self.findings.add(include.mark, at, 'the key "path" is missing')
            return tree
        missing = [path for path in paths if not Path(path).is_file()]
        for path in missing:
            self.findings.add(include.mark, at, f"there is no file {shown(Path(path))}")
        if missing:
            return tree
        if paths[0] in (*self.including, file):
            chain = " -> ".join(Path(x).name for x in (*self.including, file, paths[0]))
            self.findings.add(include.mark, at, f"files include each other: {chain}")
            return tree
        directory = include.get("project_directory")
        base = Path(directory.string if directory else str(Path(paths[0]).parent))
        below = Assembly(
            self.findings,
            base,
            self._variables(include, base),
            (*self.including, file),
            self.phases,
            self.root or self.base,
        )
        return self._imported(tree, below.tree(paths), include, at)

    def _variables(self, include: Node, base: Path) -> dict[str, str]:
        named = include.get("env_file")
        files = [Path(node.string) for node in named.items] if named else [base / ".env"]
        found: dict[str, str] = {}
        for path in files:
            if named or path.is_file():
                found |= read_dotenv(path, shown(path), {**found, **self.environ}, self.findings)
        return {**found, **self.environ}

    def _imported(self, tree: Node, other: Node, include: Node, at: str) -> Node:
        merged = dict(tree.entries)
        for section in _SHARED:
            theirs = other.get(section)
            if theirs is None:
                continue
            ours = merged.get(section) or theirs.holding({})
            for key, value in theirs.entries.items():
                mine = ours.entries.get(key)
                if mine is not None and settled(mine).plain() != value.plain():
                    self.findings.add(
                        mine.key,
                        f"{section}.{key}",
                        f"the included file defines it too, at {value.key}",
                        "rename one, or change it in an override file",
                    )
            merged[section] = ours.holding({**theirs.entries, **ours.entries})
        return tree.holding(merged)
