"""What `--security-opt` asks for; nothing misspelt leaves a container open. Pure.

Source: Docker's `docker run`, "Optional security options"; the Engine API's SecurityOpt.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.runtime.seccomp import machine_and_kernel, seccomp_filter

_TRUE = ("true", "1", "t")
_FALSE = ("false", "0", "f")
_LABELS = ("disable", "user", "role", "type", "level", "filetype", "nested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """The options of one container.

    `seccomp` and `apparmor` are "" for the default and may be `unconfined`; else they are a
    profile's JSON and a profile's name. `labels` are SELinux's `user:U`, `type:T`, …, `disable`.
    """

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    open_system_paths: bool = False
    writable_cgroups: bool = False


def security_of(spec: ContainerSpec) -> Security:
    """The specification's security options; a privileged container is unconfined unless it says
    otherwise.

    Raises: InvalidInput: no such option, or a value that it does not take.
    """
    found = _parsed(spec.security_opt)
    if spec.privileged:
        return replace(
            found,
            seccomp=found.seccomp if found.seccomp.startswith("{") else "unconfined",
            apparmor=found.apparmor or "unconfined",
            labels=(*found.labels, "disable"),
            open_system_paths=True,
            writable_cgroups=True,
        )
    return found


def check_security(spec: ContainerSpec) -> None:
    """Raises: InvalidInput: the security options cannot be honoured: unknown, or a seccomp profile
    that is none."""
    security = security_of(spec)
    if security.seccomp != "unconfined":
        seccomp_filter(security.seccomp, frozenset(), *machine_and_kernel())


def _parsed(options: Iterable[str]) -> Security:
    found = Security()
    for option in options:
        # `name=value`; the older `name:value` only where there is no "=".
        name, separator, value = option.partition("=" if _has_equals(option) else ":")
        wanted = value if separator else "true"
        match name:
            case "no-new-privileges":
                found = replace(found, no_new_privileges=_truth(option, wanted))
            case "seccomp" if value:
                found = replace(found, seccomp="" if value == "builtin" else value)
            case "apparmor" if value:
                found = replace(found, apparmor=value)
            case "label" if value.partition(":")[0] in _LABELS:
                found = replace(found, labels=(*found.labels, value))
            case "disable" if not separator:
                found = replace(found, labels=(*found.labels, "disable"))
            case "systempaths" if value == "unconfined":
                found = replace(found, open_system_paths=True)
            case "writable-cgroups":
                found = replace(found, writable_cgroups=_truth(option, wanted))
            case _:
                raise _invalid(option)
    return found


def _has_equals(option: str) -> bool:
    """Whether the name ends at "=": a profile's JSON may hold both signs."""
    equals, colon = option.find("="), option.find(":")
    return equals >= 0 and (colon < 0 or equals < colon)


def _truth(option: str, value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise _invalid(option)


def _invalid(option: str) -> InvalidInput:
    return InvalidInput(
        f"invalid security option {option[:80]!r}",
        code="security-option-invalid",
        about=option[:80],
        hint="they are no-new-privileges, seccomp=FILE|unconfined, apparmor=NAME|unconfined,"
        " label=…, systempaths=unconfined and writable-cgroups",
    )
