"""What the options of a local volume mount."""

from __future__ import annotations

import pytest

from orchestrator.aio.libc import MS_BIND, MS_NOSUID, MS_RDONLY, MS_REC
from orchestrator.errors import InvalidInput
from orchestrator.volumes.options import VolumeMount, check_options, volume_mount, with_address


def test_options_become_the_arguments_of_a_mount() -> None:
    assert volume_mount({}) is None
    assert volume_mount({"type": "tmpfs", "device": "tmpfs", "o": "size=1m,nosuid,rw,ro"}) == (
        VolumeMount("tmpfs", "tmpfs", MS_NOSUID | MS_RDONLY, "size=1m")
    )
    for options in ({"type": "none", "o": "bind"}, {"o": "bind"}, {"type": "bind"}):
        assert volume_mount({**options, "device": "/a"}) == VolumeMount("/a", "", MS_BIND, "")
    deep = volume_mount({"type": "none", "device": "/a", "o": "rbind,ro"})
    assert deep is not None
    assert (deep.flags, deep.read_only) == (MS_BIND | MS_REC | MS_RDONLY, True)


def test_a_server_is_given_to_the_kernel_by_address() -> None:
    nfs = VolumeMount(":/x", "nfs", 0, "addr=localhost,vers=4")
    assert with_address(nfs).data == "addr=127.0.0.1,vers=4"
    plain = VolumeMount("tmpfs", "tmpfs", 0, "addr=localhost")
    assert with_address(plain) is plain


@pytest.mark.parametrize(
    "options", [{"colour": "red"}, {"type": "tmpfs"}, {"device": "a", "type": "none"}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        check_options(options)
