"""What holds a container beyond namespaces and capabilities: filters and labels. Pure."""

from __future__ import annotations

import base64
from typing import Any

from orchestrator.model.observed import Container
from orchestrator.runtime.apparmor import profile_for
from orchestrator.runtime.host import Host
from orchestrator.runtime.seccomp import seccomp_filter
from orchestrator.runtime.security import Security, security_of
from orchestrator.runtime.selinux import Contexts, Labels, labels_for

# crun takes the filter as the kernel's program from here; others make it from the profile.
_CRUN_PROGRAM = "run.oci.seccomp_bpf_data"


def confine(config: dict[str, Any], container: Container, security: Security, host: Host) -> None:
    """Put the seccomp filter and the labels of AppArmor and SELinux into an OCI configuration.

    Last of all: a container's annotations have no say in it. Raises: InvalidInput: the seccomp
    profile is malformed.
    """
    process, linux = config["process"], config["linux"]
    if host.seccomp and security.seccomp != "unconfined":
        held = frozenset(process["capabilities"]["bounding"])
        chosen = seccomp_filter(security.seccomp, held, host.machine, host.kernel)
        linux["seccomp"] = dict(chosen.section)
        config.setdefault("annotations", {}).pop(_CRUN_PROGRAM, None)
        if chosen.program:
            program = base64.b64encode(chosen.program).decode()
            config["annotations"][_CRUN_PROGRAM] = program
    if profile := profile_for(security.apparmor, host.apparmor):
        process["apparmorProfile"] = profile
    labels = labels_of(container, host.selinux)
    if labels.process:
        process["selinuxLabel"] = labels.process
        linux["mountLabel"] = labels.mount


def labels_of(container: Container, contexts: Contexts | None) -> Labels:
    """The SELinux labels of a container, given the policy's (`read_contexts`)."""
    return labels_for(contexts, container.id, security_of(container.spec).labels)
