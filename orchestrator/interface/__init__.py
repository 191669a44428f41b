"""The engine and its stacks for Python programs and tests.

    async with Engine() as engine, engine.stack("stack.yml", name="trial") as stack:
        address = await stack.address("web", 80)

`orchestrator.interface.blocking` has the same without `async`, and pytest its fixtures from there.
"""

from orchestrator.interface.engine import Engine
from orchestrator.interface.stack import Stack
from orchestrator.interface.values import Address, Container, Executed

__all__ = ["Address", "Container", "Engine", "Executed", "Stack"]
