"""Docker's --format: Go templates over JSON, told apart into structs and maps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.cli.format import Format, template_value
from orchestrator.cli.template.errors import TemplateError
from orchestrator.cli.template.run import Template

VALUE = {
    "Id": "abc",
    "Mounts": [{"Type": "bind", "Destination": "/x"}],
    "State": {"Status": "running", "Pid": 12, "Load": 1.5},
    "Config": {"Labels": {"a": "1", "b": "2"}, "Cmd": ["sh", "-c"]},
    "NetworkSettings": {
        "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": None},
        "Links": None,
        "Networks": {"n1": {"IPAddress": "10.0.0.2"}, "n0": {"IPAddress": "10.1.0.2"}},
    },
    "Volumes": None,
    "Yes": True,
    "Big": 1000000.0,
}


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("plain", "plain"),
        ("{{.Id}}", "abc"),
        ("{{.State.Status}} {{.State}}", "running {running 12 1.5}"),
        ('{{index .Config.Labels "a"}}', "1"),
        ('{{index .Config.Labels "z"}}|{{.Config.Labels.z}}', "|<no value>"),
        ("{{.Config.Labels}} {{.Config.Cmd}}", "map[a:1 b:2] [sh -c]"),
        (
            "{{range $p, $c := .NetworkSettings.Ports}}{{$p}} "
            "{{if $c}}{{(index $c 0).HostPort}}{{else}}-{{end}};{{end}}",
            "80/tcp 8080;81/tcp -;",
        ),
        ("{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", "10.1.0.2 10.0.0.2 "),
        ("{{range $i, $e := .Config.Cmd}}{{if $i}}, {{end}}{{$e}}{{end}}", "sh, -c"),
        ("{{range $e := .Config.Cmd}}{{$e}}{{break}}{{end}}", "sh"),
        ("{{range slice .Config.Cmd 0 0}}x{{else}}none{{end}}", "none"),
        ("{{json .Config}}", '{"Labels":{"a":"1","b":"2"},"Cmd":["sh","-c"]}'),
        ('{{join .Config.Cmd ","}} {{len .Id}} {{slice .Id 1 2}}', "sh,-c 3 b"),
        ("{{with .State}}{{.Pid}} {{$.Id}}{{end}}", "12 abc"),
        ('a {{- "b" -}}  c {{/* no */}}{{- /* no */ -}} d', "abc d"),
        ('{{printf "%-5s|%5d|%.2f|%q" .Id 3 1.5 "x"}}', 'abc  |    3|1.50|"x"'),
        (
            '{{if eq .State.Status "paused"}}p{{else if eq .State.Status "x" "running"}}r'
            "{{else}}n{{end}}",
            "r",
        ),
        ('{{$x := .Id}}{{$x | upper | printf "%s-%s" "a"}}', "a-ABC"),
        ("{{$x := 1}}{{if .Yes}}{{$x = 2}}{{end}}{{$x}}", "2"),
        ('{{not .Yes}} {{and .Yes .Id}} {{or "" "d"}}', "false abc d"),
        ("{{lt 1 2}} {{ge 2 2}} {{ne .Id `abc`}}", "true true false"),
        ("{{.Big}} {{.State.Load}} {{.State.Health}}", "1e+06 1.5 <no value>"),
        (
            '{{title "ab cd"}}{{pad "x" 1 2}}|{{truncate .Id 2}}{{split "a/b" "/"}}',
            "Ab Cd x  |ab[a b]",
        ),
        ("{{println .Id 1}}", "abc 1\n"),
        ("{{.NetworkSettings.Links}} {{.Volumes}} {{json .Volumes}}", "[] map[] null"),
        ("{{with .NetworkSettings.Links}}x{{end}}{{len .Volumes}}{{.Volumes.x}}", "0<no value>"),
        ("{{range .Mounts}}{{.Name}}|{{.Destination}}{{end}}", "|/x"),
        ("{{.ID}} {{.state.Status}}", "abc running"),
        ("{{with $x := .Id}}{{$x}}{{end}}{{if and .Yes (eq .Id `abc`)}}!{{end}}", "abc!"),
    ],
)
def test_a_template_prints_what_go_prints(template: str, printed: str) -> None:
    assert Template(template).run(template_value(VALUE)) == printed


@pytest.mark.parametrize(
    ("template", "place", "exit_code"),
    [
        ("{{.Id", ":1:0: unclosed action", 64),
        ("a\n {{foo}}", ":2:3: function 'foo' not defined", 64),
        ("{{end}}", ":1:2: unexpected {{end}}", 64),
        ("{{if .Id}}", ":1:10: unexpected end of the template", 64),
        ('{{"abc}}', ":1:2: unterminated quoted string", 64),
        ("{{$y}}", ":1:2: undefined variable '$y'", 64),
        ("{{(.Id}}", ":1:6: unclosed left paren", 64),
        ("{{}}", ":1:2: missing value for command", 64),
        ('{{template "x"}}', ":1:2: {{template}} is not supported", 64),
        ("{{.Foo}}", ':1:2: executing "" at <.Foo>: map has no entry for key "Foo"', 1),
        ("{{.State.Health.Status}}", "nil pointer evaluating field Status", 1),
        ("{{index .Config.Cmd 9}}", ":1:2: index out of range: 9", 1),
        ('{{lt "a" 1}}', ":1:2: incompatible types for comparison", 1),
        ("{{truncate .Id}}", ":1:2: wrong number of arguments: 1", 1),
    ],
)
def test_what_cannot_be_printed_says_where_and_why(
    template: str, place: str, exit_code: int
) -> None:
    with pytest.raises(TemplateError) as raised:
        Format(template).line(VALUE)
    assert place in raised.value.message
    assert raised.value.exit_code == exit_code
    assert raised.value.hint


def test_json_is_the_object_as_the_engine_sent_it() -> None:
    assert Format("json").line({"b": 1, "a": {"d": None, "c": "é"}}) == (
        '{"b":1,"a":{"d":null,"c":"é"}}'
    )


PIECES = st.sampled_from(
    ["{{", "}}", "{{-", "-}}", ".", ".Id", ".State", "$", "$x", ":=", "=", "|", "(", ")", ",", " ",
     '"a"', "`b`", "'c'", "1", "-2.5", "if", "else", "end", "range", "with", "json", "len", "index",
     "printf", "eq", "and", "break", "text", "/*", "*/", "\n", "\\", '"']
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map("".join))
def test_any_text_is_printed_or_refused_with_a_place(text: str) -> None:
    refused = ""
    try:
        Format(text).line(VALUE)
    except TemplateError as error:
        refused = error.message
    assert not refused or "template: :" in refused


def test_what_is_nested_too_deeply_is_refused() -> None:
    with pytest.raises(TemplateError, match="nested too deeply"):
        Template("{{" + "(" * 5000 + ".Id" + ")" * 5000 + "}}")


@given(st.text(alphabet="abc \t\n-/*", max_size=20))
def test_text_without_actions_is_printed_as_it_is(text: str) -> None:
    assert Template(text).run({}) == text
