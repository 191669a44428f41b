"""A template's tokens as a tree. Pure."""

from __future__ import annotations

import ast

from orchestrator.cli.template.errors import unreadable
from orchestrator.cli.template.functions import FUNCTIONS
from orchestrator.cli.template.lexer import Token, tokens
from orchestrator.cli.template.nodes import (
    Body,
    Branch,
    Chain,
    Dot,
    Function,
    Leave,
    Literal,
    Node,
    Operand,
    Pipe,
    Print,
    Text,
    Variable,
)

_BRANCHES = ("if", "with", "range")
_UNSUPPORTED = ("define", "template", "block")
_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(text: str, start: int = 0) -> Body:
    """The tree of a template, which begins at `start`.

    Raises: TemplateError: it cannot be read; the message says where and why.
    """
    try:
        return _Parser(text, start).whole()
    except RecursionError:
        raise unreadable(text, start, "nested too deeply") from None


class _Parser:
    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._tokens = [*tokens(text, start), Token("eof", "", len(text))]
        self._at = 0
        # Names that may be used at this place; "$" always may.
        self._variables = ["$"]
        self._loops = 0

    def whole(self) -> Body:
        body, word = self._body(())
        assert not word
        return body

    # -- tokens ----------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _is(self, kind: str, text: str) -> bool:
        return self._next.kind == kind and self._next.text == text

    def _wrong(self, token: Token, problem: str) -> Exception:
        return unreadable(self._text, token.position, problem)

    def _end(self, where: str) -> None:
        token = self._take()
        if token.kind != "end":
            raise self._wrong(token, f"unexpected {_shown(token)} in {where}")

    # -- text and actions ------------------------------------------------------------------

    def _body(self, until: tuple[str, ...]) -> tuple[Body, str]:
        """Nodes up to an `end` or `else` that the caller waits for, and which it was."""
        nodes: list[Node] = []
        known = len(self._variables)
        while True:
            token = self._next
            if token.kind == "eof":
                if until:
                    raise self._wrong(
                        token, f"unexpected end of the template; no {{{{{until[0]}}}}}"
                    )
                return tuple(nodes), ""
            if token.kind == "text":
                self._at += 1
                nodes.append(Text(token.text))
            elif token.kind == "word" and token.text in ("end", "else"):
                if token.text not in until:
                    raise self._wrong(token, f"unexpected {{{{{token.text}}}}}")
                self._at += 1
                del self._variables[known:]
                return tuple(nodes), token.text
            else:
                nodes.append(self._node(token))

    def _node(self, token: Token) -> Node:
        word = token.text if token.kind == "word" else ""
        if word in _UNSUPPORTED:
            raise self._wrong(token, f"{{{{{word}}}}} is not supported")
        if word in ("break", "continue"):
            if not self._loops:
                raise self._wrong(token, f"{{{{{word}}}}} outside {{{{range}}}}")
            self._at += 1
            self._end(word)
            return Leave(word, token.position)
        if word in _BRANCHES:
            self._at += 1
            return self._branch(word)
        pipe = self._pipe("command")
        self._end("command")
        return Print(pipe)

    def _branch(self, word: str) -> Branch:
        known = len(self._variables)
        pipe = self._pipe(word)
        self._end(word)
        self._loops += word == "range"
        body, ended = self._body(("end", "else"))
        self._loops -= word == "range"
        otherwise: Body = ()
        if ended == "else":
            again = self._next
            if again.kind == "word" and again.text in ("if", "with") and again.text == word:
                self._at += 1
                otherwise = (self._branch(word),)
                del self._variables[known:]
                return Branch(word, pipe, body, otherwise)
            self._end("else")
            otherwise, _ = self._body(("end",))
        self._end("end")
        del self._variables[known:]
        return Branch(word, pipe, body, otherwise)

    # -- pipelines -------------------------------------------------------------------------

    def _pipe(self, where: str) -> Pipe:
        position = self._next.position
        names, declares = self._declared(where)
        commands = [self._command(where)]
        while self._is("mark", "|"):
            self._at += 1
            commands.append(self._command(where))
        for command in commands[1:]:
            if isinstance(command[0], Literal | Dot):
                raise unreadable(
                    self._text, command[0].position, "what follows | must be a function or a method"
                )
        if declares:
            self._variables += names
        return Pipe(tuple(commands), names, declares, position)

    def _declared(self, where: str) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipe sets, and whether it makes them."""
        names: list[str] = []
        at = self._at
        while self._tokens[at].kind == "variable":
            names.append(self._tokens[at].text)
            at += 1
            if where != "range" or len(names) == 2 or self._tokens[at].text != ",":
                break
            at += 1
        sign = self._tokens[at]
        if not names or sign.kind != "mark" or sign.text not in (":=", "="):
            return (), False
        if sign.text == "=":
            for name in names:
                self._known(name, self._next)
        self._at = at + 1
        return tuple(names), sign.text == ":="

    def _command(self, where: str) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            token = self._next
            if token.kind == "end" or (token.kind == "mark" and token.text in ("|", ")")):
                break
            operands.append(self._operand(where))
        if not operands:
            raise self._wrong(self._next, f"missing value for {where}")
        return tuple(operands)

    def _operand(self, where: str) -> Operand:
        token = self._take()
        base = self._base(token, where)
        fields: list[str] = [token.text[1:]] if token.kind == "field" else []
        while self._next.kind == "field" and not self._next.spaced:
            fields.append(self._take().text[1:])
        if not fields:
            return base
        if isinstance(base, Literal):
            raise self._wrong(token, f"{_shown(token)} has no fields")
        return Chain(base, tuple(fields), token.position)

    def _base(self, token: Token, where: str) -> Operand:
        at = token.position
        match token.kind:
            case "field" | "dot":
                return Dot(at)
            case "variable":
                self._known(token.text, token)
                return Variable(token.text, at)
            case "word" if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text], at)
            case "word" if token.text in FUNCTIONS:
                return Function(token.text, at)
            case "word":
                raise self._wrong(token, f"function {token.text!r} not defined")
            case "string" | "char" | "raw" | "number":
                return Literal(self._literal(token), at)
            case "mark" if token.text == "(":
                return self._in_parentheses()
        raise self._wrong(token, f"unexpected {_shown(token)} in {where}")

    def _in_parentheses(self) -> Pipe:
        pipe = self._pipe("parenthesis")
        if not self._is("mark", ")"):
            raise self._wrong(self._next, "unclosed left paren")
        self._at += 1
        return pipe

    def _literal(self, token: Token) -> object:
        if token.kind == "raw":
            return token.text[1:-1]
        try:
            if token.kind == "number":
                return int(token.text, 0) if _whole(token.text) else float(token.text)
            value = ast.literal_eval(token.text)
        except (ValueError, SyntaxError) as error:
            raise self._wrong(token, f"bad literal {token.text}") from error
        return ord(value) if token.kind == "char" and len(value) == 1 else value

    def _known(self, name: str, token: Token) -> None:
        if name not in self._variables:
            raise self._wrong(token, f"undefined variable {name!r}")


def _whole(text: str) -> bool:
    prefixed = text.lstrip("+-")[:2].lower() in ("0x", "0b", "0o")
    return prefixed or not set(text) & set(".eE")


def _shown(token: Token) -> str:
    return "the end of the action" if token.kind == "end" else f"<{token.text}>"
