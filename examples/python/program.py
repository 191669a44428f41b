"""A program that brings the stack up, asks it something, and takes it down again."""

from pathlib import Path

import anyio

from orchestrator.interface import Engine


async def main() -> None:
    file = Path(__file__).with_name("stack.yml")
    async with Engine() as engine, engine.stack(file, name="program") as stack:
        print("web is at", await stack.address("web", 80))
        done = await stack.execute("web", ["uname", "-n"])
        print("its host name is", done.stdout.decode().strip())
        async for line in stack.logs():
            print(line)


anyio.run(main)
