"""What running containers use, and which processes they have."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from anyio import to_thread

from orchestrator.aio.process import run_process
from orchestrator.engine.container_records import not_running
from orchestrator.errors import Failed, InvalidInput, Unavailable
from orchestrator.model.observed import Container
from orchestrator.model.usage import Usage
from orchestrator.runtime.cgroups import processes_below
from orchestrator.runtime.groups import control_groups
from orchestrator.runtime.processes import TITLES, list_processes
from orchestrator.runtime.stats import read_usage

_PS_TIMEOUT_S = 10.0
_USUAL = "-ef"
_SHARED_NETWORK = ("host", "container:")


@dataclass(frozen=True, slots=True)
class Processes:
    """A table: what the columns are called, and a row for each process."""

    titles: list[str]
    rows: list[list[str]]


async def usage_of(container: Container) -> Usage | None:
    """What the container uses now; None where it does not run."""
    if not container.running:
        return None
    own_network = not container.spec.network_mode.startswith(_SHARED_NETWORK)
    try:
        return await to_thread.run_sync(
            lambda: read_usage(container.state.pid, container.id, network=own_network)
        )
    except ProcessLookupError:
        return None


async def processes_of(container: Container, arguments: Sequence[str]) -> Processes:
    """The container's processes as the machine's ps(1) shows them, with its `arguments`.

    Raises: Conflict: it does not run; InvalidInput: ps refused, or shows no process ids;
    Unavailable: there is no ps.
    """
    if not container.running:
        raise not_running(container)
    pids = await to_thread.run_sync(_pids, container)
    program = shutil.which("ps")
    if program is None:
        if list(arguments) == [_USUAL]:
            return Processes(TITLES, await to_thread.run_sync(list_processes, pids))
        raise Unavailable(
            "ps is not installed",
            code="no-ps",
            about="ps",
            hint=f"install it (`apt-get install procps`), or ask for `{_USUAL}` alone",
        )
    listed = ",".join(map(str, sorted(pids)))
    # Asked for these alone where that goes together with the arguments, which is quicker.
    done = await run_process([program, *arguments, f"-q{listed}"], timeout_s=_PS_TIMEOUT_S)
    if done.exit_code or not done.stdout.strip():
        done = await run_process([program, *arguments], timeout_s=_PS_TIMEOUT_S)
    if done.exit_code:
        problem = done.stderr.decode(errors="replace").strip()
        raise InvalidInput(
            f"ps: {problem}", code="ps-refused", about=" ".join(arguments), hint="see ps(1)"
        )
    return table_of(done.stdout.decode(errors="replace"), pids)


def _pids(container: Container) -> set[int]:
    """Every process in the container's control group, exec sessions too."""
    try:
        groups = control_groups(container.state.pid, container.id)
    except ProcessLookupError:
        return set()
    found = {container.state.pid}
    for name in ("pids", "memory", ""):
        if name in groups:
            found |= processes_below(groups[name])
    return found


def table_of(text: str, pids: set[int]) -> Processes:
    """Of ps's table the rows of these processes; the last column keeps its blanks.

    Raises: Failed: no column has the process ids.  Source: Docker's `top`.
    """
    heading, *lines = text.splitlines() or [""]
    titles = heading.split()
    if "PID" not in titles:
        raise Failed(
            "Couldn't find PID field in ps output",
            code="no-pid-column",
            about="ps",
            hint="ask for a column `pid`: -o pid,cmd",
        )
    place = titles.index("PID")
    rows = []
    for line in lines:
        words = line.split(None, len(titles) - 1)
        if len(words) > place and words[place].isdigit() and int(words[place]) in pids:
            rows.append([*words, *[""] * (len(titles) - len(words))])
    return Processes(titles, rows)
