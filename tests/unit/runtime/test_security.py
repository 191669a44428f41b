"""Security options, and the labels of AppArmor and SELinux."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.runtime import apparmor, selinux
from orchestrator.runtime.security import Security, check_security, security_of

PROFILE = '{"defaultAction":"SCMP_ACT_ALLOW","comment":"a=b:c"}'
CONTEXTS = selinux.Contexts(
    "system_u:system_r:container_t:s0", "system_u:object_r:container_file_t:s0"
)


def of(*options: str, privileged: bool = False) -> Security:
    return security_of(ContainerSpec(image="i", security_opt=options, privileged=privileged))


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("no-new-privileges", Security(no_new_privileges=True)),
        ("no-new-privileges:true", Security(no_new_privileges=True)),
        ("no-new-privileges=1", Security(no_new_privileges=True)),
        ("no-new-privileges=false", Security()),
        ("seccomp=unconfined", Security(seccomp="unconfined")),
        ("seccomp:unconfined", Security(seccomp="unconfined")),
        ("seccomp=builtin", Security()),
        (f"seccomp={PROFILE}", Security(seccomp=PROFILE)),
        (f"seccomp:{PROFILE}", Security(seccomp=PROFILE)),
        ("apparmor=unconfined", Security(apparmor="unconfined")),
        ("apparmor:mine", Security(apparmor="mine")),
        ("label=disable", Security(labels=("disable",))),
        ("label:type:svirt_t", Security(labels=("type:svirt_t",))),
        ("label=level:s0:c1,c2", Security(labels=("level:s0:c1,c2",))),
        ("systempaths=unconfined", Security(open_system_paths=True)),
        ("writable-cgroups=true", Security(writable_cgroups=True)),
    ],
)
def test_options_are_read_in_both_of_dockers_forms(option: str, expected: Security) -> None:
    assert of(option) == expected


@pytest.mark.parametrize(
    "option",
    ["", "nonsense", "seccomp", "seccomp=", "no-new-privileges=maybe", "label=colour:red",
     "systempaths=some", "no_new_privileges"],
)  # fmt: skip
def test_what_is_misspelt_is_refused_and_not_ignored(option: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        of(option)
    assert caught.value.code == "security-option-invalid"


def test_the_privileged_are_unconfined_unless_they_name_a_profile() -> None:
    assert of(privileged=True) == Security(
        seccomp="unconfined", apparmor="unconfined", labels=("disable",),
        open_system_paths=True, writable_cgroups=True,
    )  # fmt: skip
    named = of(f"seccomp={PROFILE}", "apparmor=mine", privileged=True)
    assert (named.seccomp, named.apparmor) == (PROFILE, "mine")


def test_a_bad_profile_is_told_before_anything_is_made() -> None:
    check_security(ContainerSpec(image="i", security_opt=(f"seccomp={PROFILE}",)))
    with pytest.raises(InvalidInput, match="not JSON"):
        check_security(ContainerSpec(image="i", security_opt=("seccomp={",)))


def test_the_apparmor_profile_is_chosen_among_those_that_are_loaded() -> None:
    loaded = frozenset({"pystack-default", "mine"})
    assert apparmor.profile_for("", loaded) == "pystack-default"
    assert apparmor.profile_for("docker-default", loaded) == "pystack-default"
    assert apparmor.profile_for("mine", loaded) == "mine"
    assert apparmor.profile_for("unconfined", loaded) == ""
    assert apparmor.profile_for("mine", frozenset()) == "", "no AppArmor here: as Docker does"
    assert apparmor.profile_for("", frozenset({"mine"})) == ""
    with pytest.raises(InvalidInput, match="other"):
        apparmor.profile_for("other", loaded)


def test_the_runtimes_may_signal_what_they_made_whatever_profile_they_have() -> None:
    text = apparmor.profile_text("engines-own")
    assert "signal (receive) peer={conmon,crun,engines-own,runc,unconfined}," in text


@pytest.mark.skipif(
    not (shutil.which("apparmor_parser") and Path("/etc/apparmor.d/tunables/global").exists()),
    reason="apparmor_parser is not installed",
)
def test_the_apparmor_profile_is_one(tmp_path: Path) -> None:
    text = tmp_path / "profile"
    text.write_text(apparmor.profile_text())
    subprocess.run(
        ["apparmor_parser", "--skip-kernel-load", "--skip-cache", text], check=True, timeout=60
    )


def test_selinux_labels_differ_by_container_and_follow_the_options() -> None:
    one, other = (selinux.labels_for(CONTEXTS, name, ()) for name in ("a", "b"))
    assert one == selinux.labels_for(CONTEXTS, "a", ())
    assert one != other
    assert one.process.startswith("system_u:system_r:container_t:s0:c")
    assert one.mount.rpartition(":s0:")[2] == one.process.rpartition(":s0:")[2]
    assert selinux.labels_for(CONTEXTS, "a", ("disable",)) == selinux.Labels()
    assert selinux.labels_for(None, "a", ()) == selinux.Labels()
    asked = ("user:u", "role:r", "type:t", "level:s0:c3,c4", "filetype:f")
    assert selinux.labels_for(CONTEXTS, "a", asked) == selinux.Labels(
        "u:r:t:s0:c3,c4", "system_u:object_r:f:s0:c3,c4"
    )


def test_categories_are_two_different_ones_in_order() -> None:
    for number in range(500):
        low, high = (int(c[1:]) for c in selinux.categories(str(number)).split(","))
        assert 0 <= low < high < 1024


def test_the_policys_contexts_are_read() -> None:
    text = '# comment\nprocess = "a:b:c:s0"\ncontent = "x:y:z:s0"\nfile = "d:e:f:s0"\n'
    assert selinux.parse_contexts(text) == selinux.Contexts("a:b:c:s0", "d:e:f:s0")
    assert selinux.parse_contexts("process = x") is None
    assert selinux.shared("d:e:f:s0:c1,c2") == "d:e:f:s0"


def test_the_machines_own_directories_are_not_relabelled(tmp_path: Path) -> None:
    for path in ("/", "/usr", "/etc", "/home"):
        with pytest.raises(InvalidInput, match="machine's own"):
            selinux.relabel(Path(path), "label")
    assert os.listxattr(tmp_path) == os.listxattr(tmp_path)
