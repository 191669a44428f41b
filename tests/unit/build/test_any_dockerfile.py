"""Whatever a Dockerfile says, it is understood or refused with its place: never a fault of ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.build.checks.lint import is_strict, lint
from orchestrator.build.evaluate import Scope, StageState, advance
from orchestrator.build.grammar import read_instructions
from orchestrator.build.graph import build_graph
from orchestrator.build.parser import parse
from orchestrator.build.tree import Tree
from orchestrator.errors import InvalidInput
from orchestrator.model.image import ImageConfig

KEYWORD = st.sampled_from(
    [
        "FROM", "RUN", "COPY", "ADD", "ENV", "ARG", "LABEL", "EXPOSE", "VOLUME", "USER", "WORKDIR",
        "SHELL", "STOPSIGNAL", "HEALTHCHECK", "ONBUILD", "CMD", "ENTRYPOINT", "MAINTAINER", "run",
        "From", "#",
    ]
)  # fmt: skip
FLAG = st.sampled_from(
    [
        "--from=a", "--from=0", "--from=", "--chown=a:b", "--chmod=u+x", "--chmod=zz", "--link",
        "--link=maybe", "--parents", "--exclude=*.c", "--exclude=[", "--checksum=x", "--unpack",
        "--keep-git-dir", "--mount=type=bind,target=/x", "--mount=type=secret", "--mount=type=ssh",
        "--mount=type=cache,target=/c,sharing=odd", '--mount="', "--mount", "--network=none",
        "--network=x", "--security=insecure", "--security=x", "--platform=linux/arm64",
        "--platform=$P", "--interval=1s", "--interval=1", "--retries=x", "--what", "--", "--=",
    ]
)  # fmt: skip
WORD = st.one_of(
    st.sampled_from(
        [
            "a", "b", "AS", "scratch", "A=1", 'B="x y"', "$A", "${A:-b}", "${A", "${A#*/}", "'q",
            '"q', "\\", "80/tcp", "9999999", "8000-7000", "NONE", "CMD", '["a", "b"]', '["a"', "[]",
            "[1]", "<<E", "\x00", "é", "=", "<<-'E'", "<<", "https://x/y", "git@h:p", ".", "..",
            "/", "*",
        ]
    ),
    st.text(alphabet="ab$'\"\\{}<=-/ ", max_size=6),
)  # fmt: skip
LINE = st.builds(
    lambda keyword, flags, words: " ".join([keyword, *flags, *words]),
    KEYWORD,
    st.lists(FLAG, max_size=2),
    st.lists(WORD, max_size=4),
)
TEXT = st.lists(
    st.one_of(LINE, st.sampled_from(["E", "", "# escape=`", "FROM a AS b"])), max_size=8
)
PLATFORM = {"TARGETPLATFORM": "linux/amd64", "BUILDPLATFORM": "linux/amd64"}


@pytest.mark.parametrize("start", ["", "FROM a\n", "ARG P=1\nFROM a AS a\n"])
@settings(max_examples=250, deadline=None)
@given(lines=TEXT, value=st.sampled_from(["", "1", "$A", "'"]))
def test_any_dockerfile_is_understood_or_refused(start: str, lines: list[str], value: str) -> None:
    args = {"A": value}
    refused: list[InvalidInput] = []
    try:
        dockerfile = parse(start + "\n".join(lines))
        instructions = read_instructions(dockerfile)
        graph = build_graph(
            instructions, build_args=args, platform_args=PLATFORM, escape=dockerfile.escape
        )
        lint(dockerfile, instructions, graph, args, Tree(Path("/nowhere")), {})
        is_strict(dockerfile, args)
        scope = Scope(build_args=args, global_args=graph.global_args, escape=dockerfile.escape)
        for stage in graph.stages.values():
            state = StageState(config=ImageConfig())
            for instruction in stage.instructions:
                state, _ = advance(instruction, state, scope)
    except InvalidInput as error:
        refused.append(error)
    for error in refused:
        assert error.code in ("dockerfile-invalid", "dockerfile-unsupported")
        assert error.about.startswith("Dockerfile:") or "has no FROM" in error.message
