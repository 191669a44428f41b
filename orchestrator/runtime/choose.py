"""Which OCI runtime this machine's containers run with: found by trying, not by asking."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
from anyio import to_thread

from orchestrator.aio.process import run_process
from orchestrator.errors import Unavailable
from orchestrator.runtime.bundle import write_bundle
from orchestrator.runtime.cgroups import remove_cgroup
from orchestrator.runtime.devices import device_rules
from orchestrator.runtime.driver import Runtime
from orchestrator.runtime.endings import end_cgroup
from orchestrator.runtime.messages import runtime_message
from orchestrator.runtime.paths import Bundle
from orchestrator.settings import Settings

_PREFERRED = ("crun", "runc")
# Whoever starts an engine waits 15 s for it.
_PROBE_TIMEOUT_S = 5.0
_HANGS = "did not answer in time"


async def choose_runtime(settings: Settings) -> Runtime:
    """The runtime to use: the one in the settings, else the first of crun and runc that works.

    Each is tried with a real container, created and deleted. Where none works but one hangs, that
    one is used all the same. Raises: Unavailable: none works (no-runtime), or conmon is missing
    (no-conmon).
    """
    conmon = shutil.which("conmon")
    if conmon is None:
        raise Unavailable(
            "conmon is not installed",
            code="no-conmon",
            about="conmon",
            hint="install it: `apt-get install conmon`",
        )
    wanted = (settings.runtime,) if settings.runtime else _PREFERRED
    refused: list[str] = []
    hanging = ""
    for name in wanted:
        path = shutil.which(name)
        if path is None:
            refused.append(f"{name}: not installed")
            continue
        problem = await _problem(settings, path)
        if problem:
            refused.append(f"{Path(name).name}: {problem}")
            hanging = hanging or (path if problem == _HANGS else "")
            continue
        reason = _reason(settings, refused)
        return _runtime(settings, path, conmon, await _version(path), reason, refused)
    if hanging:
        # What hangs now may answer later, and containers that run need their engine.
        reason = "it hangs, and no other works here"
        return replace(_runtime(settings, hanging, conmon, "", reason, refused), hangs=True)
    raise Unavailable(
        f"no OCI runtime works here: {'; '.join(refused)}",
        code="no-runtime",
        about=", ".join(wanted),
        hint="install one: `apt-get install crun` or `apt-get install runc`",
    )


def _runtime(
    settings: Settings, path: str, conmon: str, version: str, reason: str, refused: list[str]
) -> Runtime:
    name = Path(path).name
    return Runtime(
        name=name,
        version=version,
        reason=reason,
        path=path,
        refused=tuple(refused),
        # One for each: no runtime can read another one's records, and a later engine may choose
        # another.
        root=settings.run_dir / f"runtime-{name}",
        conmon=conmon,
        others=_others(path),
        start_timeout_s=settings.runtime_start_timeout_s,
        timeout_s=settings.runtime_timeout_s,
    )


def _others(chosen: str) -> dict[str, str]:
    """The other runtimes that are installed, untried."""
    found = ((name, shutil.which(name)) for name in _PREFERRED)
    return {name: path for name, path in found if path and Path(path).name != Path(chosen).name}


def _reason(settings: Settings, refused: list[str]) -> str:
    if settings.runtime:
        return "named in the settings"
    if refused:
        return f"works here, while {'; '.join(refused)}"
    return "the first choice, and it works here"


async def _version(path: str) -> str:
    try:
        done = await run_process([path, "--version"], timeout_s=_PROBE_TIMEOUT_S)
    except TimeoutError:
        return ""
    first = done.stdout.decode(errors="replace").partition("\n")[0].split()
    return first[-1] if first else ""


async def _problem(settings: Settings, path: str) -> str:
    """Why this runtime cannot create a container here; "" when it can."""
    with tempfile.TemporaryDirectory(prefix="pystack-probe-") as place:
        cgroup = f"{settings.cgroup_parent}/{Path(place).name}"
        bundle, config = _probe(Path(place), f"/{cgroup}")
        await to_thread.run_sync(write_bundle, bundle, config)
        common = [path, "--root", str(Path(place) / "state")]
        patience_s = min(_PROBE_TIMEOUT_S, settings.runtime_start_timeout_s)
        try:
            with anyio.fail_after(patience_s):
                made = await run_process([*common, "create", "--bundle", place, bundle.id])
                gone = await run_process([*common, "delete", "--force", bundle.id])
        except TimeoutError:
            await to_thread.run_sync(end_cgroup, cgroup)
            return _HANGS
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(remove_cgroup, cgroup)
    for done in (made, gone):
        if done.exit_code:
            return runtime_message(done.stderr.decode(errors="replace")) or "failed silently"
    return ""


def _probe(place: Path, cgroups_path: str) -> tuple[Bundle, dict[str, Any]]:
    """A container that is never started, so its program need only look like one."""
    rootfs = place / "root"
    program = rootfs / "probe"
    rootfs.mkdir()
    program.write_bytes(b"\x7fELF")
    program.chmod(0o755)
    bundle = Bundle(
        id=place.name, path=place, rootfs=rootfs, log_path=place / "log", exit_dir=place / "exit"
    )
    config = {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/probe"], "cwd": "/"},
        "root": {"path": str(rootfs)},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {
            "cgroupsPath": cgroups_path,
            # Under v2 these are a BPF program, which not every root may load.
            "resources": {"devices": device_rules([], privileged=False)},
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "network", "uts", "ipc")],
        },
    }
    return bundle, config
