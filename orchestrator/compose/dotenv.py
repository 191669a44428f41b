"""Files of variables: `.env`, `--env-file` and a service's `env_file`.

Source: compose specification, "env_file format".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from orchestrator.compose.node import Mark
from orchestrator.compose.problems import Findings
from orchestrator.compose.template import Lookup, TemplateError, substitute

_START = re.compile(r"(?:export[ \t]+)?(?P<name>[^\s=:#'\"]+)[ \t]*(?P<sign>[=:]?)[ \t]*")
_NAME = re.compile(r"[A-Za-z_0-9.\-\[\]]+")
# What a value begins with is part of it, as Compose has it: A=#1 is "#1".
_COMMENT = re.compile(r"[ \t]#.*$")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


def read_dotenv(
    path: Path, shown: str, environ: Mapping[str, str], findings: Findings, *, raw: bool = False
) -> dict[str, str]:
    """The variables of a file; `environ` serves the variables used in it.

    A file that is not there or malformed is a problem in `findings`.
    """
    findings.files[str(path)] = None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        findings.add(Mark(shown, 1, 1), "", "there is no such file", "check the path")
    except OSError as error:
        findings.add(Mark(shown, 1, 1), "", f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        findings.add(Mark(shown, 1, 1), "", "is not text in UTF-8")
    else:
        if raw:
            return parse_raw(text)
        return parse_dotenv(text, shown, environ, findings)
    return {}


def parse_raw(text: str) -> dict[str, str]:
    """The variables of a file in which a line is NAME=VALUE, taken literally."""
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return {name.strip(): value for name, sign, value in (x.partition("=") for x in lines) if sign}


def parse_dotenv(
    text: str, shown: str, environ: Mapping[str, str], findings: Findings
) -> dict[str, str]:
    """The variables of a file's text. A bare NAME takes its value from `environ`, if any."""
    found: dict[str, str] = {}
    lines = text.replace("\r\n", "\n").split("\n")
    number = 0

    def lookup(name: str) -> str | None:
        return environ.get(name, found.get(name))

    while number < len(lines):
        line = lines[number].strip()
        number += 1
        if not line or line.startswith("#"):
            continue
        mark = Mark(shown, number, 1)
        match = _START.match(line)
        if match is None or not _NAME.fullmatch(match["name"]):
            findings.add(mark, "", f'"{line}" does not start with a variable\'s name')
            continue
        name, rest = match["name"], line[match.end() :]
        if not match["sign"]:
            if rest and not rest.startswith("#"):
                findings.add(mark, name, "expected = after the name")
            elif name in environ:
                found[name] = environ[name]
            continue
        quote = rest[:1]
        if quote not in ("'", '"'):
            found[name] = _expanded(_COMMENT.sub("", rest).rstrip(), lookup)
            continue
        end = _quote_end(rest, quote)
        while end < 0 and number < len(lines):
            rest += "\n" + lines[number]
            number += 1
            end = _quote_end(rest, quote)
        if end < 0:
            findings.add(mark, name, f"the {quote} is not closed")
            break
        after = rest[end + 1 :].strip()
        if after and not after.startswith("#"):
            findings.add(mark, name, f'unexpected "{after}" after the closing {quote}')
        found[name] = _unquoted(rest[1:end], quote, lookup)
    return found


def _quote_end(text: str, quote: str) -> int:
    position = 1
    while position < len(text):
        if text[position] == "\\" and quote == '"':
            position += 1
        elif text[position] == quote and text[position - 1] != "\\":
            return position
        position += 1
    return -1


def _unquoted(text: str, quote: str, lookup: Lookup) -> str:
    if quote == "'":
        return text.replace("\\'", "'")
    # An escaped dollar stays a dollar: it is doubled before variables are looked at.
    unescaped = _ESCAPE.sub(lambda m: _ESCAPED.get(m[1], "$$" if m[1] == "$" else m[1]), text)
    return _expanded(unescaped, lookup)


def _expanded(text: str, lookup: Lookup) -> str:
    try:
        return substitute(text, lookup)
    except TemplateError:
        return text  # a password with a $ in it is a password, not a mistake
