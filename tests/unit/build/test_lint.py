"""The checks: what each finds, what it does not, and how a file puts them off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.build.checks.finding import Finding
from orchestrator.build.checks.lint import is_strict, lint
from orchestrator.build.grammar import read_instructions
from orchestrator.build.graph import build_graph
from orchestrator.build.parser import parse
from orchestrator.build.tree import Tree
from orchestrator.model.ignore import parse_ignore

PLATFORM = {"TARGETPLATFORM": "linux/amd64", "BUILDPLATFORM": "linux/amd64", "TARGETARCH": "amd64"}


def found(
    text: str,
    *,
    target: str = "",
    args: Mapping[str, str] | None = None,
    directory: Path = Path("/nowhere"),
    ignore: str = "",
) -> list[Finding]:
    dockerfile = parse(text)
    instructions = read_instructions(dockerfile)
    graph = build_graph(instructions, target=target, build_args=args or {}, platform_args=PLATFORM)
    tree = Tree(directory, parse_ignore(ignore))
    bases = {"known": ["PATH", "FROM_BASE"]}
    return lint(dockerfile, instructions, graph, args or {}, tree, bases)


def rules(text: str, **more: object) -> list[tuple[str, int]]:
    return [(f.rule, f.where.line) for f in found(text, **more)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM a AS Build\nFROM Build\n", [("StageNameCasing", 1)]),
        ("FROM a as b\nFROM b\n", [("FromAsCasing", 1)]),
        ("FROM a\nRUN true \\\n\n  && true\n", [("NoEmptyContinuation", 2)]),
        ("FROM a\nRUN true\nworkdir /x\n", [("ConsistentInstructionCasing", 3)]),
        ("from a\nrun true\n", []),
        ("FROM a AS x\nFROM x AS x\n", [("DuplicateStageName", 2)]),
        ("FROM a AS scratch\n", [("ReservedStageName", 1)]),
        ("FROM a\nCMD run\n", [("JSONArgsRecommended", 2)]),
        ('FROM a\nENTRYPOINT run\nCMD ["x"]\n', [("JSONArgsRecommended", 2)]),
        ('FROM a\nSHELL ["/bin/sh", "-ec"]\nCMD run\n', []),
        ("FROM a\nMAINTAINER me\n", [("MaintainerDeprecated", 2)]),
        ("ARG T=1\nFROM a:${T}-${V}\n", [("UndefinedArgInFrom", 2)]),
        ("ARG T\nFROM a:${T}\n", [("InvalidDefaultArgInFrom", 2)]),
        ("ARG T=x\nFROM a:${T}\n", []),
        ("FROM a:${T:-x}\n", []),
        ("FROM known\nCOPY $missing .\n", [("UndefinedVar", 2)]),
        ("FROM known\nCOPY $FROM_BASE $PATH .\n", []),
        ("FROM known\nARG A\nENV B=$A\nLABEL x=$B y=${C:-d}\n", []),
        ("FROM known\nRUN echo $whatever\n", []),
        ("FROM unknown\nCOPY $PYTHON_VERSION /x\n", []),
        ("FROM scratch\nCOPY $PYTHON_VERSION /x\n", [("UndefinedVar", 2)]),
        ("FROM a AS b\nENV X=1\nFROM b\nCOPY $X /x\n", []),
        ("FROM a\nWORKDIR app\n", [("WorkdirRelativePath", 2)]),
        ("FROM a\nWORKDIR /app\nWORKDIR sub\n", []),
        ("FROM a AS b\nWORKDIR /app\nFROM b\nWORKDIR sub\n", []),
        ('FROM a\nCMD ["1"]\nCMD ["2"]\n', [("MultipleInstructionsDisallowed", 2)]),
        ("FROM a\nENV A 1\n", [("LegacyKeyValueFormat", 2)]),
        ("FROM --platform=$TARGETPLATFORM a\n", [("RedundantTargetPlatform", 1)]),
        ("FROM --platform=linux/arm64 a\n", [("FromPlatformFlagConstDisallowed", 1)]),
        ("FROM --platform=$BUILDPLATFORM a\n", []),
        ("FROM a\nENV API_KEY=x\nARG DB_PASSWORD\n", [
            ("SecretsUsedInArgOrEnv", 2), ("SecretsUsedInArgOrEnv", 3)]),
        ("FROM a\nENV KEYBOARD=x PUBLIC_KEY=y TOKEN_FILE=z\n", []),
        ("FROM a\nEXPOSE 80/TCP 127.0.0.1:80:80\n", [
            ("ExposeInvalidFormat", 2), ("ExposeProtoCasing", 2)]),
        ("FROM a AS one\nRUN true\nFROM a\n", [("UnusedStage", 1)]),
        ('FROM a AS one\nCMD ["x"]\nFROM a AS two\nCMD ["x"]\n', []),
        ("FROM a\nRUN <<E\necho 1\nexit 0\necho 2\nE\n", [("UnreachableCode", 2)]),
        ("FROM a\nRUN <<E\nif false; then\n  exit 1\nfi\necho 2\nE\n", []),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(text: str, expected: list[tuple[str, int]]) -> None:
    assert rules(text) == expected


def test_what_dockerignore_hides_cannot_be_copied(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "kept.txt").write_text("x")
    text = "FROM a\nCOPY secret.txt kept.txt /x/\nCOPY . /all\nADD *.txt /y/\n"
    assert rules(text, directory=tmp_path, ignore="secret*") == [("CopyIgnoredFile", 2)]


def test_a_misspelt_variable_is_told_what_it_may_mean() -> None:
    (finding,) = found("FROM known\nENV VERSION=1\nLABEL v=$VERSON\n")
    assert finding.message == "Usage of undefined variable '$VERSON' (did you mean $VERSION?)"


def test_a_file_skips_checks_and_makes_them_errors() -> None:
    text = "FROM a\nCMD run\nENV A 1\n"
    assert len(rules(text)) == 2
    assert rules(f"# check=skip=JSONArgsRecommended\n{text}") == [("LegacyKeyValueFormat", 4)]
    assert rules(f"# check=skip=all\n{text}") == []
    assert rules(text, args={"BUILDKIT_DOCKERFILE_CHECK": "skip=jsonargsrecommended"}) == [
        ("LegacyKeyValueFormat", 3)
    ]
    assert is_strict(parse(f"# check=skip=a;error=true\n{text}"), {})
    assert not is_strict(parse(text), {})
