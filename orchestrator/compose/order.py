"""In which order Compose writes the keys of a mapping, where that is not our tables' order."""

from __future__ import annotations

from typing import Any

_STACK = "name services networks volumes secrets configs models"
_SERVICE = """
    profiles annotations attach build develop blkio_config cap_add cap_drop cgroup_parent cgroup
    cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpus cpuset cpu_shares
    command configs container_name credential_spec depends_on deploy device_cgroup_rules devices
    dns dns_opt dns_search domainname entrypoint provider environment env_file expose extends
    external_links extra_hosts gpus group_add hostname healthcheck image init ipc isolation labels
    label_file links logging mem_limit mem_reservation memswap_limit mem_swappiness mac_address
    models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports
    privileged pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open
    stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user
    userns_mode uts volumes volumes_from working_dir post_start pre_stop
"""
_BUILD = """
    context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to no_cache
    additional_contexts pull extra_hosts isolation network target secrets shm_size tags ulimits
    platforms privileged
"""
_ORDERS = {
    "stack": _STACK,
    "service": _SERVICE,
    "build": _BUILD,
    "healthcheck": "test timeout interval retries start_period start_interval",
    "port": "name mode host_ip target published protocol app_protocol",
    "mount": "type source target read_only consistency",
    "dependency": "condition restart required",
    "secret_grant": "source target uid gid mode",
    "ipam_config": "subnet gateway ip_range aux_addresses",
}


def ordered(name: str, found: dict[str, Any], otherwise: tuple[str, ...] = ()) -> dict[str, Any]:
    """The mapping of the kind with that name in Compose's order, what it does not know last."""
    names = _ORDERS[name].split() if name in _ORDERS else otherwise
    known = {key: found[key] for key in names if key in found}
    return known | {key: found[key] for key in sorted(found) if key not in known}
