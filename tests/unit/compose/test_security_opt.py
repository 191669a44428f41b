"""`security_opt` of a service: profiles are read from beside the file that names them."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.compose.load import load_stack
from orchestrator.compose.problems import StackInvalid
from orchestrator.model.stack import Stack

FILE = """\
services:
  web:
    image: busybox
    security_opt: ["no-new-privileges:true", "seccomp:{profile}", "label=disable"]
    volumes:
      - ./data:/data:z
      - {{type: bind, source: ./own, target: /own, bind: {{selinux: Z}}}}
"""


def load(directory: Path, profile: str) -> Stack:
    (directory / "stack.yml").write_text(FILE.format(profile=profile))
    return load_stack([str(directory / "stack.yml")], environ={}).stack


def test_a_profile_is_sent_whole_and_labels_are_carried(tmp_path: Path) -> None:
    (tmp_path / "strict.json").write_text('{ "defaultAction": "SCMP_ACT_ERRNO" }')
    (service,) = load(tmp_path, "./strict.json").services
    assert service.container.security_opt == (
        "no-new-privileges:true",
        'seccomp={"defaultAction":"SCMP_ACT_ERRNO"}',
        "label=disable",
    )
    assert [mount.relabel for mount in service.container.mounts] == ["z", "Z"]


def test_unconfined_is_no_file(tmp_path: Path) -> None:
    (service,) = load(tmp_path, "unconfined").services
    assert "seccomp:unconfined" in service.container.security_opt


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("{", "strict.json is not JSON")]
)
def test_a_profile_that_cannot_be_read_is_told_with_its_place(
    tmp_path: Path, content: str | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "strict.json").write_text(content)
    with pytest.raises(StackInvalid) as caught:
        load(tmp_path, "./strict.json")
    assert "stack.yml:4:" in caught.value.message
    assert "services.web.security_opt[1]" in caught.value.message
    assert said in caught.value.message
