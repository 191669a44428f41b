from __future__ import annotations

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.model.container import ContainerSpec
from orchestrator.model.image import ImageConfig
from orchestrator.model.process import check_command


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        check_command(ContainerSpec(image="empty"), ImageConfig())
    assert caught.value.code == "no-command"


def test_an_entrypoint_is_command_enough() -> None:
    check_command(ContainerSpec(image="some"), ImageConfig(entrypoint=("/entry",)))
