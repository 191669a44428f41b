"""The shape of Dockerfiles: lines, continuations, comments, directives, here-documents."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.build.parser import parse
from orchestrator.errors import InvalidInput


def shape(text: str) -> list[tuple[int, str, str]]:
    return [(s.where.line, s.keyword, s.rest) for s in parse(text).statements]


def test_statements_keep_the_number_of_their_first_line() -> None:
    text = "# comment\n\nFROM a\n  run x \\\n  # in between\n\n    y \\\n z\nCMD w"
    assert shape(text) == [(3, "FROM", "a"), (4, "RUN", "x     y  z"), (9, "CMD", "w")]


def test_a_continuation_is_joined_without_a_blank_of_its_own() -> None:
    assert shape("RUN ab\\\ncd") == [(1, "RUN", "abcd")]
    assert shape("RUN ab \\  \n  cd\\\\") == [(1, "RUN", "ab   cd\\\\")]


def test_a_continuation_at_the_end_of_the_file_ends_there() -> None:
    assert shape("RUN a \\") == [(1, "RUN", "a")]
    assert shape("RUN a \\\n# only a comment") == [(1, "RUN", "a")]


def test_windows_line_ends_and_a_byte_order_mark_are_no_part_of_it() -> None:
    assert shape("\ufeffFROM a\r\nRUN b \\\r\n c\r\n") == [(1, "FROM", "a"), (2, "RUN", "b  c")]


def test_directives_stand_before_everything_else() -> None:
    dockerfile = parse("# syntax=docker/dockerfile:1\n# escape = `\n# check=skip=all\nRUN a `\n b")
    assert dockerfile.directives == {
        "syntax": "docker/dockerfile:1",
        "escape": "`",
        "check": "skip=all",
    }
    assert [s.rest for s in dockerfile.statements] == ["a  b"]


@pytest.mark.parametrize("first", ["# a comment", "", "FROM x", "# unknown=1"])
def test_a_directive_after_anything_else_is_a_comment(first: str) -> None:
    assert parse(f"{first}\n# escape=`\nRUN a").escape == "\\"


def test_wrong_directives_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^Dockerfile:2: the directive escape is given twice"):
        parse("# escape=`\n# escape=`\nRUN a")
    with pytest.raises(InvalidInput, match="escape character must be"):
        parse("# escape=x\nRUN a")


def test_flags_are_taken_off_the_front() -> None:
    statement = parse('COPY --from=a --chown="b:c" -- --x y').statements[0]
    assert (statement.flags, statement.rest) == (("--from=a", "--chown=b:c"), "--x y")
    assert parse("CMD --x").statements[0].rest == "--x"


def test_here_documents_are_read_to_their_delimiters() -> None:
    text = "RUN <<A cat <<-'B' && x <<\"C\"\n$a\nB\nA\n\t# b\n\tB\nEOF\nC\nCMD y"
    run, cmd = parse(text).statements
    found = [(h.name, h.content, h.expand, h.strip_tabs) for h in run.heredocs]
    assert found == [
        ("A", "$a\nB\n", True, False),
        ("B", "\t# b\n", False, True),
        ("C", "EOF\n", False, False),
    ]
    assert run.heredocs[1].text == "# b\n"
    assert (cmd.where.line, cmd.rest) == (9, "y")


@pytest.mark.parametrize("word", ["<<EOF;", "<<EOF>/x", "<<EOF|", "3<<EOF"])
def test_a_delimiter_ends_where_the_shells_word_does(word: str) -> None:
    assert parse(f"RUN cat {word}\nx\nEOF").statements[0].heredocs[0].name == "EOF"


@pytest.mark.parametrize("line", ["RUN echo '<<EOF'", 'RUN ["a", "<<EOF"]', "RUN a <<<b",
                                  "RUN echo $((1<<2))", "CMD cat <<EOF"])  # fmt: skip
def test_what_only_looks_like_a_here_document_is_none(line: str) -> None:
    assert parse(line).statements[0].heredocs == ()


def test_a_here_document_without_an_end_is_told_with_its_line() -> None:
    with pytest.raises(InvalidInput, match=r"^Dockerfile:2: the here-document EOF has no end"):
        parse("FROM a\nRUN <<EOF\nx\n")


@given(st.text(alphabet="RUN COPY<EOF>\\\n#'\"$\t-=ab", max_size=80))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        dockerfile = parse(text)
    except InvalidInput:
        return
    lines = [s.where.line for s in dockerfile.statements]
    assert lines == sorted(set(lines))
    assert all(0 < line <= text.count("\n") + 1 for line in lines)


WORDS = st.text(alphabet="abc$'\" =", min_size=1, max_size=8).map(str.strip).filter(bool)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=5))
def test_splitting_lines_by_continuations_changes_nothing(lines: list[list[str]]) -> None:
    plain = "\n".join("RUN " + " ".join(words) for words in lines)
    split = "\n".join("RUN \\\n# c\n" + " \\\n\n".join(words) for words in lines)
    assert [s.rest for s in parse(split).statements] == [s.rest for s in parse(plain).statements]


@pytest.mark.parametrize(
    "name",
    [
        "docker/dockerfile",
        "docker/dockerfile:1",
        "docker/dockerfile:1.7.1",
        "docker.io/docker/dockerfile:1-labs",
        "docker/dockerfile-upstream:master",
        "docker/dockerfile:1.4@sha256:" + "0" * 64,
    ],
)
def test_dockers_own_syntax_is_known(name: str) -> None:
    dockerfile = parse(f"#!/usr/bin/env build\n#  SYNTAX = {name}\n# escape=`\nFROM a\n")
    assert dockerfile.directives == {"syntax": name, "escape": "`"}


@pytest.mark.parametrize(
    "name", ["example.org/frontend", "docker/dockerfile:2", "me/dockerfile:1", "docker/dockerfilex"]
)
def test_another_syntax_is_refused_with_its_place(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(f"# syntax={name}\nFROM a\n")
    error = caught.value
    assert error.code == "dockerfile-unsupported"
    assert error.message.startswith(f"Dockerfile:1: the syntax {name} is not supported")
    assert "use syntax=docker/dockerfile:1" in error.hint


def test_a_mistake_is_shown_as_it_is_written() -> None:
    text = "FROM a\n\nCOPY --bad \\\n  # why\n  b c\nRUN x\n"
    statement = parse(text).statements[1]
    error = statement.where.invalid("COPY has no flag --bad")
    assert error.message.split("\n") == [
        "Dockerfile:3: COPY has no flag --bad",
        "     3 | COPY --bad \\",
        "     4 |   # why",
        "     5 |   b c",
    ]


LINE = st.lists(st.text(alphabet="abc$ ./=-", min_size=1, max_size=8), min_size=1, max_size=4)


@given(st.lists(LINE, min_size=1, max_size=5))
def test_every_statement_knows_where_it_stands(instructions: list[list[str]]) -> None:
    lines = ["RUN x" + " ".join(words).strip() for words in instructions]
    statements = parse("\n\n".join(lines)).statements
    assert [s.where.line for s in statements] == [1 + 2 * n for n in range(len(lines))]
    assert [s.where.source for s in statements] == lines


BODY = st.text(alphabet="ab$\\'\"# \t<EOF", max_size=12).filter(lambda line: line.strip() != "EOF")


@given(st.lists(BODY, max_size=6))
def test_a_here_document_is_kept_as_it_is(body: list[str]) -> None:
    text = "".join(f"{line}\n" for line in body)
    statement, after = parse(f"COPY <<EOF /x\n{text}EOF\nRUN y\n").statements
    assert statement.heredocs[0].content == text
    assert (after.text, after.where.line) == ("RUN y", len(body) + 3)


@given(st.text(alphabet="FROM RUNCOPY<<-EOF'\"\\\n#=$ab`\t", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidInput):
        for statement in parse(text).statements:
            assert statement.keyword == statement.written.upper()
            assert all(part in statement.where.source for part in statement.written)
