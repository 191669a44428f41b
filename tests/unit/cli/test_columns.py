"""One declaration of columns gives a table, templates, JSON and ids."""

from __future__ import annotations

import pytest

from orchestrator.cli.columns import Column, Columns, Shown
from orchestrator.cli.template.errors import TemplateError

COLUMNS = Columns(
    Column("ID", "THING ID", lambda thing: thing["Id"][:4]),
    Column("Name", "NAME", lambda thing: thing["Name"]),
    Column("Size", "SIZE", lambda thing: f"{thing['Size']}B"),
    table=("ID", "Name"),
    quiet="ID",
    methods={"Label": lambda thing, name: thing["Labels"].get(name, "")},
    raw="id: {{.ID}}\\n",
)
THINGS = [
    {"Id": "abcdef", "Name": "one", "Size": 1, "Labels": {"com.x.long-name": "l"}},
    {"Id": "012345", "Name": "a longer name", "Size": 22, "Labels": {}},
]


def lines(form: str, *, quiet: bool = False) -> list[str]:
    return list(Shown(COLUMNS, form, quiet=quiet).lines(THINGS))


def test_without_a_format_there_is_a_table_of_the_usual_columns() -> None:
    assert (
        lines("")
        == lines("table")
        == ["THING ID   NAME", "abcd       one", "0123       a longer name"]
    )


def test_quiet_prints_one_column_and_wins_over_a_template() -> None:
    assert lines("", quiet=True) == lines("{{.Name}}", quiet=True) == ["abcd", "0123"]
    assert Shown(COLUMNS, "{{.Name}}", quiet=True).ignored


def test_json_has_every_column_by_name_in_order() -> None:
    assert lines("json")[0] == '{"ID":"abcd","Name":"one","Size":"1B"}'
    assert lines("{{json .}}") == lines("json")


def test_a_template_prints_a_line_for_each_and_knows_escapes_and_methods() -> None:
    assert lines("{{.Name}}\\t{{.Size}}") == ["one\t1B", "a longer name\t22B"]
    assert lines('{{.Label "com.x.long-name"}}') == ["l", ""]
    assert lines("raw") == ["id: abcd\n", "id: 0123\n"]


def test_a_table_of_one_s_own_has_the_headings_of_its_columns() -> None:
    assert lines('table {{.Name}}\\t{{upper .ID}}\\t{{.Label "com.x.long-name"}}') == [
        "NAME            THING ID   long name",
        "one             ABCD       l",
        "a longer name   0123",
    ]


def test_what_is_wrong_is_placed_in_the_text_as_it_was_typed() -> None:
    with pytest.raises(TemplateError, match=r":1:20: .*can't evaluate field Nope") as raised:
        lines("table {{.Name}}\\t  {{.Nope}}".replace("  ", " "))
    assert raised.value.exit_code == 1
    with pytest.raises(TemplateError, match=r":1:6: unclosed action") as raised:
        Shown(COLUMNS, "table {{.Name")
    assert raised.value.exit_code == 1


def test_costly_columns_are_known_before_anything_is_asked() -> None:
    assert not Shown(COLUMNS, "").uses("Size")
    assert Shown(COLUMNS, "{{.Size}}").uses("Size")
    assert Shown(COLUMNS, "json").uses("Size")
    assert not Shown(COLUMNS, "{{.Size}}", quiet=True).uses("Size")
