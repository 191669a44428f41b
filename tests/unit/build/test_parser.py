"""The shape of Dockerfiles: lines, continuations, comments, directives, here-documents."""

from __future__ import annotations

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
