"""Whom a container runs as, from its own passwd and group files."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import Failed
from orchestrator.runtime.user import User, find_user, resolve_user

PASSWD = """root:x:0:0:root:/root:/bin/sh
# a comment
broken:x:notanumber:1::/:
bob:x:1000:1001:Bob:/home/bob:/bin/sh
twin:x:1000:1002::/home/twin:/bin/sh
7:x:8:9::/seven:/bin/sh
homeless:x:1003:1003
"""
GROUP = """root:x:0:
bob:x:1001:
wheel:x:10:root,bob
video:x:44:bob,
nine:x:9
"""


def found(user: str, *group_add: str) -> User:
    return find_user(PASSWD, GROUP, user, group_add)


def test_nothing_means_root_with_its_groups() -> None:
    root = User(uid=0, gid=0, groups=(0, 10), home="/root", name="root")
    assert found("") == found("root") == found("0") == root


def test_a_name_brings_its_groups_the_main_one_first() -> None:
    bob = User(uid=1000, gid=1001, groups=(1001, 10, 44), home="/home/bob", name="bob")
    assert found("bob") == found("1000") == bob


def test_a_group_given_leaves_only_that() -> None:
    assert found("bob:video").groups == (44,)
    assert found("bob:555").groups == (555,)
    assert found("1000:wheel") == User(uid=1000, gid=10, groups=(10,), home="/home/bob", name="bob")


def test_a_number_without_entry_is_in_group_0() -> None:
    assert found("4242") == User(uid=4242, gid=0, groups=(0,), home="/", name="")
    assert found("4242:10") == User(uid=4242, gid=10, groups=(10,), home="/", name="")


def test_a_user_may_be_named_like_a_number() -> None:
    assert found("7") == User(uid=8, gid=9, groups=(9,), home="/seven", name="7")


def test_more_groups_are_added_once() -> None:
    assert found("bob", "video", "33", "wheel").groups == (1001, 10, 44, 33)


@pytest.mark.parametrize(
    ("user", "groups", "code"),
    [
        ("nobody", (), "no-such-user"),
        ("-1", (), "no-such-user"),
        ("99999999999", (), "no-such-user"),
        ("bob:nogroup", (), "no-such-group"),
        ("bob", ("nogroup",), "no-such-group"),
    ],
)
def test_names_that_are_not_there_are_told(user: str, groups: tuple[str, ...], code: str) -> None:
    with pytest.raises(Failed) as caught:
        found(user, *groups)
    assert (caught.value.code, bool(caught.value.hint)) == (code, True)


def test_the_machines_own_users_are_never_asked(tmp_path: Path) -> None:
    assert resolve_user(tmp_path, "") == User(uid=0, gid=0, groups=(0,), home="/", name="")
    (tmp_path / "etc").symlink_to("/etc")
    with pytest.raises(Failed):
        resolve_user(tmp_path, "daemon")
    (tmp_path / "etc").unlink()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").symlink_to("/etc/passwd")
    with pytest.raises(Failed):
        resolve_user(tmp_path, "daemon")


def test_links_inside_the_root_are_followed(tmp_path: Path) -> None:
    (tmp_path / "usr/etc").mkdir(parents=True)
    (tmp_path / "usr/etc/passwd").write_text(PASSWD)
    (tmp_path / "etc").symlink_to("/usr/etc")
    assert resolve_user(tmp_path, "bob").uid == 1000
