"""One thing, or several, by `--format`: for commands that show an object rather than a list."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Objects whose keys are data, by where they stand: an absent key of these is no error, and they
# print as Go's maps do.  Source: the Engine API reference (`additionalProperties`).
_MAPS = frozenset({
    "Labels", "Options", "Ports", "PortBindings", "Networks", "ExposedPorts", "Volumes", "Sysctls",
    "Annotations", "Tmpfs", "StorageOpt", "DriverOpts", "Containers", "Services", "Attributes",
    "Metadata", "Runtimes", "Status", "Manifests", "Data", "IndexConfigs",
})  # fmt: skip
# Lists that JSON may have as null.
_LISTS = frozenset({
    "Cmd", "Entrypoint", "OnBuild", "Shell", "Env", "Binds", "VolumesFrom", "CapAdd", "CapDrop",
    "ExtraHosts", "GroupAdd", "Links", "SecurityOpt", "Dns", "DnsOptions", "DnsSearch", "Devices",
    "DeviceCgroupRules", "DeviceRequests", "MaskedPaths", "ReadonlyPaths", "Ulimits", "Aliases",
    "DNSNames", "RepoTags", "RepoDigests", "ExecIDs", "Args", "Mounts",
})  # fmt: skip
# Fields that an object has only where they say something, and what they are where it has not: in a
# template they are not wrong.  Source: the members of the Engine API's types marked `omitempty`.
_OPTIONAL: Mapping[str, Mapping[str, Any]] = {
    "": {
        "SizeRw": None, "SizeRootFs": None, "UsageData": None, "Status": None, "Variant": "",
        "OsVersion": "", "ExecIDs": None,
    },
    ".State": {"Health": None},
    ".Config": {
        "ExposedPorts": {}, "Healthcheck": None, "Shell": None, "StopSignal": "",
        "StopTimeout": None, "Volumes": {}, "MacAddress": "", "NetworkDisabled": False,
        "OnBuild": None, "ArgsEscaped": False,
    },
    ".HostConfig": {
        "Annotations": {}, "Mounts": [], "Init": None, "StorageOpt": {}, "Tmpfs": {},
        "Sysctls": {}, "Runtime": "",
    },
    ".Mounts[]": {"Name": "", "Driver": "", "Source": ""},
    ".HostConfig.Mounts[]": {
        "ReadOnly": False, "Source": "", "BindOptions": None, "VolumeOptions": None,
        "TmpfsOptions": None,
    },
    ".IPAM.Config[]": {"Subnet": "", "IPRange": "", "Gateway": "", "AuxiliaryAddresses": {}},
    ".RootFS": {"Layers": []},
    ".Actor": {"ID": "", "Attributes": {}},
}  # fmt: skip


class Format:
    """How an object is printed: `text` is "json" or a template.

    Raises: TemplateError: it cannot be read.
    """

    def __init__(self, text: str) -> None:
        from orchestrator.cli.template.run import Template  # noqa: PLC0415

        self._template = None if text == "json" else Template(text)

    def line(self, value: Mapping[str, Any]) -> str:
        """What is printed of the object, without the newline after it.

        Raises: TemplateError: the template asks for what is not there.
        """
        if self._template is None:
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return self._template.run(template_value(value))


def template_value(value: Any, path: str = "") -> Any:
    """A JSON value of the engine as a template sees it: structs and maps told apart."""
    from orchestrator.cli.template.values import Map, NoList, NoMap, Struct  # noqa: PLC0415

    if isinstance(value, list):
        return [template_value(each, path + "[]") for each in value]
    if value is None:
        name = path.rpartition(".")[2]
        return NoList() if name in _LISTS else NoMap() if name in _MAPS else None
    if not isinstance(value, Mapping):
        return value
    items = {name: template_value(each, f"{path}.{name}") for name, each in value.items()}
    if path.rpartition(".")[2] in _MAPS or path.endswith(".LogConfig.Config"):
        return Map(items)
    made = Struct(items)
    made.optional = _OPTIONAL.get(path, {})
    return made
