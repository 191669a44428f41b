"""Words: how a Dockerfile line splits at blanks, with quotes and escapes kept as written."""

from __future__ import annotations

_BLANK = " \t\r\n\f\v"


def split_words(text: str, escape: str = "\\") -> list[str]:
    """The words of text as they are written: quotes and escapes stay in them."""
    words: list[str] = []
    position = 0
    while position < len(text):
        if text[position] in _BLANK:
            position += 1
            continue
        end = word_end(text, position, escape)
        words.append(text[position:end])
        position = end
    return words


def word_end(text: str, start: int, escape: str = "\\") -> int:
    """The index just after the word that starts at start; an open quote runs to the end."""
    quote = ""
    position = start
    while position < len(text):
        char = text[position]
        if quote:
            if char == escape and quote == '"':
                position += 1
            elif char == quote:
                quote = ""
        elif char == escape:
            position += 1
        elif char in "'\"":
            quote = char
        elif char in _BLANK:
            break
        position += 1
    return min(position, len(text))


def unquote(word: str, escape: str = "\\") -> str:
    """The word without its quotes and escapes; variables in it are left alone."""
    out: list[str] = []
    quote = ""
    position = 0
    while position < len(word):
        char = word[position]
        following = word[position + 1 : position + 2]
        if quote == "'":
            if char == "'":
                quote = ""
            else:
                out.append(char)
        elif char == escape and following and (not quote or following in ('"', "$", escape)):
            out.append(following)
            position += 1
        elif char == quote:
            quote = ""
        elif char in "'\"" and not quote:
            quote = char
        else:
            out.append(char)
        position += 1
    return "".join(out)
