"""What a list command can show of each thing it lists, declared once.

From one declaration come the table, the headings of a user's own table, the fields of a template,
`--format json` and `--quiet`:

    COLUMNS = Columns(
        Column("ID", "NETWORK ID", lambda network: network["Id"][:12]),
        Column("Name", "NAME", lambda network: network["Name"]),
        table=("ID", "Name"),
        quiet="ID",
        methods={"Label": lambda network, name: network["Labels"].get(name, "")},
    )
    …
    shown = Shown(COLUMNS, args.format, quiet=args.quiet)   # before anything is asked for
    shown.say(session, networks)

A value that depends on an option (`--no-trunc`) is a closure over it: make the columns then.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.cli.table import table

if TYPE_CHECKING:
    from orchestrator.cli.session import Session
    from orchestrator.cli.template.run import Template
    from orchestrator.cli.template.values import Row


class Column(NamedTuple):
    """A value under its name in templates, and the heading that it has in tables."""

    name: str
    heading: str
    value: Callable[[Any], Any]


class Columns:
    """The columns of one kind of thing.

    `table` are those of the plain table, `quiet` the one that `--quiet` prints, `methods` what
    templates may call with arguments (`{{.Label "a"}}`), `raw` the template that `--format raw`
    stands for.
    """

    def __init__(
        self,
        *columns: Column,
        table: Sequence[str],
        quiet: str = "",
        methods: Mapping[str, Callable[..., Any]] | None = None,
        raw: str = "",
    ) -> None:
        self.named = {column.name: column for column in columns}
        self.table = tuple(table)
        self.quiet = quiet
        self.methods = methods or {}
        self.raw = raw

    def lines(self, items: Iterable[Any]) -> Iterator[str]:
        """The plain table."""
        shown = [self.named[name] for name in self.table]
        rows = [[str(column.value(item)) for column in shown] for item in items]
        return table([column.heading for column in shown], rows)

    def row(self, item: Any) -> Row:
        """The item as a template's value."""
        from functools import partial  # noqa: PLC0415

        from orchestrator.cli.template.values import Row  # noqa: PLC0415

        return Row(
            {name: partial(column.value, item) for name, column in self.named.items()},
            {name: partial(method, item) for name, method in self.methods.items()},
        )

    def headings(self) -> Row:
        """The headings in place of the values."""
        from functools import partial  # noqa: PLC0415

        from orchestrator.cli.template.values import Row  # noqa: PLC0415

        return Row(
            {name: partial(str, column.heading) for name, column in self.named.items()},
            dict.fromkeys(self.methods, _last_word),
        )


class Shown:
    """How a list is to be printed: as a table, as ids, as JSON, or by a template.

    Raises: TemplateError: the template cannot be read.
    """

    def __init__(self, columns: Columns, form: str = "", *, quiet: bool = False) -> None:
        self.columns = columns
        self.quiet = quiet
        self.ignored = quiet and form not in ("", "table")
        self._json = form == "json"
        self._headed = False
        self._template: Template | None = None
        if quiet or form in ("", "table", "json"):
            return
        from orchestrator.cli.template.errors import TemplateError  # noqa: PLC0415
        from orchestrator.cli.template.run import Template  # noqa: PLC0415

        if form == "raw" and columns.raw:
            form = columns.raw
        form = form.rstrip(" ")
        self._headed = form.startswith("table")
        plain = form.removeprefix("table").lstrip(" ") if self._headed else form.lstrip(" ")
        try:
            self._template = Template(form, start=len(form) - len(plain), escapes=True)
        except TemplateError as error:
            error.exit_code = 1  # 64, Docker's for a template, is not what its lists end with
            raise

    @property
    def template(self) -> str:
        """The template's text; "" where there is none."""
        return self._template.text if self._template else ""

    def uses(self, name: str) -> bool:
        """Whether this column will be printed, so that costly ones are asked for only then."""
        if self.quiet:
            return name == self.columns.quiet
        if self._template is not None:
            return f".{name}" in self._template.text or "json ." in self._template.text
        return self._json or name in self.columns.table

    def lines(self, items: Iterable[Any]) -> Iterator[str]:
        """The lines to print; without headings each is there as soon as its item is."""
        if self.quiet:
            value = self.columns.named[self.columns.quiet].value
            return (str(value(item)) for item in items)
        if self._json:
            from orchestrator.cli.template.values import as_json  # noqa: PLC0415

            return (as_json(self.columns.row(item)) for item in items)
        if self._template is None:
            return self.columns.lines(items)
        if self._headed:
            return self._table(self._template, items)
        template = self._template
        return (template.run(self.columns.row(item)) for item in items)

    def _table(self, template: Template, items: Iterable[Any]) -> Iterator[str]:
        from orchestrator.cli.template.functions import HEADING_FUNCTIONS  # noqa: PLC0415

        head = template.run(self.columns.headings(), HEADING_FUNCTIONS)
        rows = [template.run(self.columns.row(item)) for item in items]
        cells = [line.split("\t") for row in (head, *rows) for line in row.split("\n")]
        width = max(map(len, cells))
        return table([], [[*row, *[""] * (width - len(row))] for row in cells])

    def say(self, session: Session, items: Iterable[Any]) -> None:
        """Nothing; the list is printed."""
        if self.ignored:
            session.note(
                "WARNING: Ignoring custom format, because both --format and --quiet are set."
            )
        for line in self.lines(items):
            session.say(line)


def preferred(session: Session, args: argparse.Namespace, key: str) -> str:
    """The form asked for; else the one that the user's own Docker configuration has under `key`,
    unless quiet.

    Source: Docker's reference, "docker CLI configuration file", `psFormat` and its like.
    """
    if args.format or getattr(args, "quiet", False):
        return str(args.format)
    try:
        with open(session.places.docker_config) as file:
            text = file.read()
        return str(json.loads(text).get(key) or "") if key in text else ""
    except (OSError, ValueError, AttributeError):
        return ""


def format_argument(parser: argparse.ArgumentParser) -> None:
    """Declare `--format`."""
    parser.add_argument(
        "--format",
        default="",
        metavar="FORMAT",
        help="table, json, a Go template, or `table TEMPLATE`: --format '{{.ID}}'",
    )


def _last_word(name: str = "", *_rest: object) -> str:
    """The heading of a label's column: its last part, in words."""
    return str(name).rpartition(".")[2].replace("-", " ").replace("_", " ")
