"""How long ago something was, in Docker's words."""

from __future__ import annotations

import pytest

from orchestrator.model.ages import ago


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"), (1.9, "1 second"), (59, "59 seconds"),
        (60, "About a minute"), (119, "About a minute"), (120, "2 minutes"),
        (59 * 60, "59 minutes"), (60 * 60, "About an hour"), (89 * 60, "About an hour"),
        (91 * 60, "2 hours"), (47 * 3600, "47 hours"), (48 * 3600, "2 days"),
        (13 * 86400, "13 days"), (14 * 86400, "2 weeks"), (60 * 86400, "2 months"),
        (150 * 60, "3 hours"), (100 * 86400, "3 months"), (800 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_a_span_is_told_in_words(seconds: float, text: str) -> None:
    assert ago(seconds) == text
