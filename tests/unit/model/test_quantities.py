"""Amounts are read as Docker and Go read them, and written so that they read back the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import InvalidInput
from orchestrator.model.quantities import (
    format_number,
    parse_bytes,
    parse_cpus,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("512m", 512 << 20),
        ("512M", 512 << 20),
        ("1.5GiB", 3 << 29),
        ("1 kb", 1024),
        ("2t", 2 << 40),
        (".5k", 512),
        ("10b", 10),
        (7, 7),
    ],
)
def test_a_size_is_read_in_binary_multiples(text: str | int, size: int) -> None:
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "m", "12 parsecs", "-1", "1,5g", "1e3", "9999999p", -1])
def test_what_is_no_size_is_refused_with_a_hint(text: str | int) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_bytes(text)
    assert caught.value.code == "invalid-size"
    assert "512m" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("10s", 10.0),
        ("1m30s", 90.0),
        ("1.5h", 5400.0),
        ("250ms", 0.25),
        ("2us", 2e-06),
        ("2µs", 2e-06),
        ("1h2m3s4ms", 3723.004),
        (".5s", 0.5),
    ],
)
def test_a_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "s", "-1s", "1m 30s", "1d", "soon", "9999999999h"])
def test_what_is_no_duration_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text)
    assert caught.value.code == "invalid-duration"
    assert "1m30s" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "nano"), [("0.5", 500_000_000), (2, 2 * 10**9), (1.25, 125 * 10**7)]
)
def test_cpus_are_read_in_billionths(text: str | float, nano: int) -> None:
    assert parse_cpus(text) == nano


@pytest.mark.parametrize("text", ["", "many", "-1", "nan", "inf"])
def test_what_is_no_number_of_cpus_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_cpus(text)
    assert caught.value.code == "invalid-cpus"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (1.10, "1.1"),
        (-0.25, "-0.25"),
        (100.0, "100"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e-7, "1.5e-07"),
        (0.0001, "0.0001"),
        (0.0, "0"),
        (3, "3"),
        (float("inf"), "+Inf"),
        (float("nan"), "NaN"),
    ],
)
def test_a_number_is_printed_as_go_prints_it(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.text())
def test_any_text_is_an_amount_or_refused(text: str) -> None:
    for parse in (parse_bytes, parse_duration, parse_cpus):
        try:
            assert parse(text) >= 0
        except InvalidInput:
            continue


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_printed_is_the_same_number(value: float) -> None:
    assert float(format_number(value)) == value
