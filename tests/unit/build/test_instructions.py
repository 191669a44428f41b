"""From a Dockerfile's text to stages, configurations and operations, without touching a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from orchestrator.build.cache_key import step_key
from orchestrator.build.evaluate import Scope, StageState, advance
from orchestrator.build.grammar import read_instructions
from orchestrator.build.graph import Graph, build_graph
from orchestrator.build.operations import CopyOperation, DirectoryOperation, Operation, RunOperation
from orchestrator.build.parser import parse
from orchestrator.errors import InvalidInput
from orchestrator.model.image import ImageConfig

PLATFORM = {"TARGETPLATFORM": "linux/amd64", "TARGETARCH": "amd64"}


def graph(text: str, target: str = "", **build_args: str) -> Graph:
    return build_graph(
        read_instructions(parse(text)),
        target=target,
        build_args=build_args,
        platform_args=PLATFORM,
    )


def evaluated(
    text: str, base: ImageConfig | None = None, args: Mapping[str, str] | None = None
) -> tuple[StageState, list[Operation]]:
    """The state and the operations after the last stage."""
    made = graph(text, **(args or {}))
    scope = Scope(build_args=args or {}, global_args=made.global_args)
    state = StageState(config=base or ImageConfig())
    operations: list[Operation] = []
    for instruction in made.stages[made.target].instructions:
        state, operation = advance(instruction, state, scope)
        if operation is not None:
            operations.append(operation)
    return state, operations


def test_only_stages_that_the_target_needs_are_in_the_graph() -> None:
    text = (
        "FROM a AS one\nFROM b AS two\nFROM one AS three\nCOPY --from=two x y\n"
        "FROM c\nRUN --mount=from=1,target=/x true\n"
    )
    found = graph(text, "three")
    assert {i: s.needs for i, s in found.stages.items() if i in found.needed} == {
        0: (),
        1: (),
        2: (0, 1),
    }
    assert graph(text).needed == {1, 3}
    assert graph(text, "0").needed == {0}


def test_arguments_before_from_name_the_base() -> None:
    text = (
        "ARG V=1\nARG IMAGE=base:$V\nFROM ${IMAGE}-slim AS Main\n"
        "FROM --platform=$TARGETPLATFORM main"
    )
    made = graph(text)
    assert made.stages[0].base == "base:1-slim"
    assert made.stages[1].base_stage == 0
    assert graph(text, V="2").stages[0].base == "base:2-slim"
    assert graph("FROM scratch").stages[0].base == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the Dockerfile has no FROM"),
        ("RUN x", "Dockerfile:1: the first instruction must be FROM"),
        ("ARG A\nFROM $A", "Dockerfile:2: FROM $A: the name is empty"),
        ("FROM a AS 1x", "Dockerfile:1: 1x is no name for a stage"),
        ("FROM a b", "Dockerfile:1: FROM takes an image"),
        ("FROM a\nCOPY --from=3 a b", "Dockerfile:2: --from=3: there is no such stage"),
        ("FROM a AS x\nCOPY --from=x a b", "Dockerfile:2: --from=x: a stage cannot copy from"),
        ("FROM a\nCOPY --from=$X a b", "Dockerfile:2: --from=$X: variables mean nothing here"),
        ("FROM a\nFOO", "Dockerfile:2: unknown instruction FOO"),
        ("FROM a\nRUN", "Dockerfile:2: RUN needs an argument"),
        ("FROM a\nCOPY --bad=1 a b", "Dockerfile:2: COPY has no flag --bad"),
        ("FROM a\nCOPY --from=a --from=b a b", "Dockerfile:2: --from is given twice"),
        ("FROM a\nENV A", "Dockerfile:2: A: a value is missing"),
        ("FROM a\nENV A=1 B", "Dockerfile:2: B: expected name=value"),
        ("FROM a\nSHELL sh", "Dockerfile:2: SHELL takes a JSON list"),
        ("FROM a\nEXPOSE web", "Dockerfile:2: EXPOSE web: expected a port"),
        ("FROM a\nEXPOSE 70000", "Dockerfile:2: EXPOSE 70000: expected a port"),
        ("FROM a\nHEALTHCHECK --interval=5 CMD x", "Dockerfile:2: --interval=5: expected a dur"),
        ("FROM a\nHEALTHCHECK x", "Dockerfile:2: HEALTHCHECK takes CMD"),
        ("FROM a\nONBUILD FROM x", "Dockerfile:2: FROM cannot be an ONBUILD trigger"),
        ("FROM a\nCOPY a b c", "Dockerfile:2: c: more than one source needs a directory"),
        ("FROM a\nCOPY --chmod=u+y a b", "Dockerfile:2: --chmod: expected a mode like 755"),
        ("FROM a\nUSER ${X:?who}", "Dockerfile:2: X: who"),
        ("FROM a\nRUN --mount=target=/x,foo=1 true", "Dockerfile:2: --mount=target=/x,foo=1: a b"),
        ("FROM a\nRUN --network=lan true", "Dockerfile:2: --network=lan: no such network"),
    ],
)
def test_mistakes_are_told_with_their_line(text: str, problem: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        evaluated(text)
    assert caught.value.message.startswith(problem)
    assert caught.value.hint


def test_an_unknown_target_is_told_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="no stage prod") as caught:
        graph("FROM a AS dev\nFROM b AS test", "prod")
    assert caught.value.hint == "its stages are: dev, test"


def test_env_goes_before_arg_and_one_line_sees_the_old_values() -> None:
    state, operations = evaluated(
        "ARG G=global\nFROM a\nARG G\nARG X=1 Y\nENV A=old\nENV A=new B=$A C=$X\nARG A=arg\n"
        'RUN x\nRUN ["a", "$A"]',
        args={"X": "given", "UNDECLARED": "no"},
    )
    assert state.config.environment == ("A=new", "B=old", "C=given")
    run = operations[0]
    assert isinstance(run, RunOperation)
    assert dict(e.partition("=")[::2] for e in run.environment[1:]) == {
        "G": "global",
        "X": "given",
        "A": "new",
        "B": "old",
        "C": "given",
    }
    assert [o.arguments for o in operations if isinstance(o, RunOperation)] == [
        ("/bin/sh", "-c", "x"),
        ("a", "$A"),
    ]


def test_old_forms_are_understood() -> None:
    state, _ = evaluated("FROM a\nENV NAME some  value\nLABEL k a 'b'\nMAINTAINER \"me\"")
    assert state.config.environment == ("NAME=some  value",)
    assert state.config.labels == {"k": "a b"}
    assert state.config.author == "me"


def test_an_entrypoint_drops_the_command_of_the_base_only() -> None:
    base = ImageConfig(command=("base",))
    assert evaluated('FROM a\nENTRYPOINT ["e"]', base)[0].config.command == ()
    mine = evaluated('FROM a\nCMD ["c"]\nENTRYPOINT ["e"]', base)[0].config
    assert (mine.entrypoint, mine.command) == (("e",), ("c",))
    assert evaluated("FROM a\nCMD []", base)[0].config.command == ()


@pytest.mark.parametrize(
    ("before", "written", "expected"),
    [
        ("", "x", "/x"),
        ("", "./", "/"),
        ("/app", "x", "/app/x"),
        ("/app", ".", "/app/"),
        ("/app", "./sub/", "/app/sub/"),
        ("/app", "../up", "/up"),
        ("/app", "/a/../b/", "/b/"),
        ("/app", "$D/x", "/data/x"),
    ],
)
def test_destinations_are_absolute_and_say_whether_they_are_directories(
    before: str, written: str, expected: str
) -> None:
    base = ImageConfig(working_dir=before, environment=("D=/data",))
    _, operations = evaluated(f"FROM a\nCOPY f {written}", base)
    assert isinstance(operations[0], CopyOperation)
    assert operations[0].destination == expected


def test_directories_follow_each_other() -> None:
    _, operations = evaluated("FROM a\nWORKDIR a\nWORKDIR b\nWORKDIR /c\nWORKDIR $HERE/d")
    paths = [o.path for o in operations if isinstance(o, DirectoryOperation)]
    assert paths == ["/a", "/a/b", "/c", "/d"]


def keys(text: str, parent: str = "p", **args: str) -> list[str]:
    return [step_key(parent, o, ["content"]) for o in evaluated(text, args=args)[1]]


def test_equal_steps_have_equal_keys_wherever_they_stand() -> None:
    text = "FROM a\nARG X=1\nRUN x\nCOPY a /b\n"
    assert keys(text) == keys(f"# comment\nFROM other AS y\n\n{text[7:]}")
    assert keys(text) == keys(text, HTTP_PROXY="http://proxy", OTHER="1")


@pytest.mark.parametrize(
    "change",
    [
        ("RUN x", "RUN y"),
        ("RUN x", 'RUN ["x"]'),
        ("ARG X=1", "ARG X=2"),
        ("ARG X=1", "ENV X=2"),
        ("ARG X=1", "WORKDIR /w"),
        ("ARG X=1", "USER 5"),
        ("ARG X=1", 'SHELL ["ash"]'),
        ("RUN x", "RUN --network=none x"),
        ("RUN x", "RUN --mount=type=tmpfs,target=/t x"),
    ],
)
def test_what_a_run_sees_is_in_its_key(change: tuple[str, str]) -> None:
    text = "FROM a\nARG X=1\nRUN x\n"
    assert keys(text)[-1] != keys(text.replace(*change))[-1]


def test_what_a_copy_does_is_in_its_key() -> None:
    _, (operation,) = evaluated("FROM a\nCOPY a /b\n")
    assert isinstance(operation, CopyOperation)
    others = [
        replace(operation, destination="/c"),
        replace(operation, owner="5"),
        replace(operation, mode="600"),
        replace(operation, unpack=True),
    ]
    seen = {step_key("p", o, ["c"]) for o in (operation, *others)}
    seen |= {step_key("q", operation, ["c"]), step_key("p", operation, ["d"])}
    assert len(seen) == len(others) + 3
