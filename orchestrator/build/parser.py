"""The text of a Dockerfile as statements: directives, continuations, comments, here-documents.

Knows the shape of every line and the meaning of none: `grammar` reads the statements.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from orchestrator.build.problems import Where
from orchestrator.build.words import split_words, unquote

_DIRECTIVE = re.compile(r"^#\s*([A-Za-z][A-Za-z0-9]*)\s*=\s*(.+?)\s*$")
_DIRECTIVES = ("syntax", "escape", "check")
_FRONTENDS = re.compile(
    r"(?:docker\.io/|index\.docker\.io/)?docker/dockerfile(?:-upstream)?(?::(?P<tag>[\w.-]+))?"
    r"(?:@sha256:[0-9a-f]{64})?"
)
_FRONTEND_TAG = re.compile(r"(?:1(?:\.\d+){0,2}(?:-labs)?|latest|labs|master|master-labs)")
_HEREDOC = re.compile(r"^\d*<<(-?)([^<]+)$")
_HEREDOC_KEYWORDS = ("RUN", "COPY", "ADD")
_FLAGGED = ("FROM", "RUN", "COPY", "ADD", "HEALTHCHECK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heredoc:
    """A here-document: its delimiter, its lines as written, and how they are to be read.

    `word` is the redirection as it stands in the line (`<<-"EOF"`)."""

    word: str
    name: str
    content: str
    expand: bool
    strip_tabs: bool

    @property
    def text(self) -> str:
        """The content as its reader sees it."""
        if not self.strip_tabs:
            return self.content
        return "".join(line.lstrip("\t") for line in self.content.splitlines(keepends=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One instruction: its keyword in capitals, `--flags` as written, and the rest of its line.

    `text` is the whole logical line, continuations joined; `where` is its first physical line.
    `written` is the keyword as it stands there; `gaps` says that an empty line continues a line.
    """

    keyword: str
    flags: tuple[str, ...] = ()
    rest: str = ""
    heredocs: tuple[Heredoc, ...] = ()
    where: Where
    text: str
    written: str = ""
    gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dockerfile:
    """A parsed Dockerfile: its name in messages, its escape character, its statements in order."""

    name: str
    escape: str
    directives: Mapping[str, str]
    statements: tuple[Statement, ...]


def parse(text: str, name: str = "Dockerfile", first_line: int = 1) -> Dockerfile:
    """The statements of a Dockerfile, in order.

    Raises: InvalidInput: a directive is wrong or names a syntax that is not Docker's, or a
    here-document has no end.
    Source: Dockerfile reference, "Format", "Parser directives", "Here-Documents".
    """
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    directives = _directives(lines, name)
    source = _Source(lines, directives.get("escape", "\\"))
    statements: list[Statement] = []
    while not source.ended:
        where = Where(name, source.position + first_line)
        line = source.next_line()
        if not line.strip() or _is_comment(line):
            continue
        first = source.position - 1
        logical, gaps = source.with_continuations(line.lstrip())
        if logical.strip():
            statement = _statement(logical, where, source)
            place = replace(where, source=source.since(first))
            statements.append(replace(statement, where=place, gaps=gaps))
    return Dockerfile(
        name=name, escape=source.escape, directives=directives, statements=tuple(statements)
    )


class _Source:
    """The physical lines, read once from the first to the last."""

    def __init__(self, lines: list[str], escape: str) -> None:
        mark = re.escape(escape)
        self._lines = lines
        self._continued = re.compile(rf"(?s)^(.*(?<!{mark})|){mark}[ \t]*$")
        self.escape = escape
        self.position = 0

    @property
    def ended(self) -> bool:
        return self.position >= len(self._lines)

    def next_line(self) -> str:
        self.position += 1
        return self._lines[self.position - 1]

    def since(self, first: int) -> str:
        """The lines from index first on that have been read."""
        return "\n".join(self._lines[first : self.position])

    def with_continuations(self, line: str) -> tuple[str, bool]:
        """The logical line that begins with line, and whether empty lines are in it; comments and
        empty lines are left out."""
        parts: list[str] = []
        gaps = False
        while (match := self._continued.match(line)) is not None:
            parts.append(match[1])
            line = ""
            while not self.ended:
                line = self.next_line()
                if line.strip() and not _is_comment(line):
                    break
                gaps = gaps or not line.strip()
                line = ""
        return "".join([*parts, line]).rstrip(), gaps and bool(line)


def _directives(lines: list[str], name: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if number == 1 and line.startswith("#!"):
            continue
        match = _DIRECTIVE.match(line.strip())
        if match is None or match[1].lower() not in _DIRECTIVES:
            break
        key, value = match[1].lower(), match[2]
        where = Where(name, number, line)
        if key in found:
            raise where.invalid(f"the directive {key} is given twice")
        if key == "escape" and value not in ("\\", "`"):
            raise where.invalid(f"the escape character must be \\ or `, not {value}")
        if key == "syntax" and not _known_frontend(value):
            raise where.unsupported(
                f"the syntax {value}", "use syntax=docker/dockerfile:1, or leave the line out"
            )
        found[key] = value
    return found


def _known_frontend(name: str) -> bool:
    """Whether a syntax directive means what is understood here: Docker's own, version 1."""
    match = _FRONTENDS.fullmatch(name)
    return match is not None and (
        match["tag"] is None or bool(_FRONTEND_TAG.fullmatch(match["tag"]))
    )


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _statement(logical: str, where: Where, source: _Source) -> Statement:
    written, *tail = logical.split(maxsplit=1)
    keyword, rest = written.upper(), tail[0] if tail else ""
    flags: list[str] = []
    if keyword in _FLAGGED:
        flags, rest = _flags(rest, source.escape)
    heredocs: list[Heredoc] = []
    if _takes_heredocs(keyword, rest):
        for word in split_words(rest, source.escape):
            if (match := _HEREDOC.match(word)) is not None:
                heredocs.append(_heredoc(word, match, where, source))
    return Statement(
        keyword=keyword,
        flags=tuple(flags),
        rest=rest,
        heredocs=tuple(heredocs),
        where=where,
        text=logical.strip(),
        written=written,
    )


def _takes_heredocs(keyword: str, rest: str) -> bool:
    word = rest.split(maxsplit=1)[0].upper() if keyword == "ONBUILD" and rest else keyword
    return word in _HEREDOC_KEYWORDS


def _flags(rest: str, escape: str) -> tuple[list[str], str]:
    flags: list[str] = []
    while rest.startswith("--"):
        word = split_words(rest, escape)[0]
        rest = rest[len(word) :].lstrip()
        if word == "--":
            break
        flags.append(unquote(word, escape))
    return flags, rest


def _heredoc(word: str, match: re.Match[str], where: Where, source: _Source) -> Heredoc:
    # A delimiter ends where the shell's word does: `cat <<EOF;` and `cat <<EOF>file`.
    written = re.split(r"[;&|>()]", match[2])[0]
    name = unquote(written, source.escape)
    if not name:
        raise where.invalid(f"{word}: a here-document needs a delimiter")
    strip_tabs = match[1] == "-"
    content: list[str] = []
    while not source.ended:
        line = source.next_line()
        if (line.lstrip("\t") if strip_tabs else line) == name:
            return Heredoc(
                word=word,
                name=name,
                content="".join(f"{kept}\n" for kept in content),
                expand=name == written,
                strip_tabs=strip_tabs,
            )
        content.append(line)
    raise where.invalid(f"the here-document {name} has no end", f"add a line holding only {name}")
