"""The engine and its stacks for programs without an event loop, and for threads."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from orchestrator.client import engine as client
from orchestrator.client.faults import error_of
from orchestrator.client.frames import STDERR, STDOUT, Frames
from orchestrator.client.start import Starter
from orchestrator.errors import NotFound, Unavailable
from orchestrator.interface.values import Address, Container, Executed
from orchestrator.places import Places
from orchestrator.settings import Settings, load_settings

_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_NUMBER = "com.docker.compose.container-number"
_PIECE = 1 << 16
_START_S = 30.0
_STOP_S = 30.0
_POLL_S = 0.02
# No address means every one of the machine's.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Engine:
    """An engine: the one of this user and machine, which is started where none runs; or, with
    `directory`, one of this object's own, which has everything below that directory and ends with
    the block.  A context manager.

    Raises everywhere: PystackError, as the engine says it.
    """

    def __init__(
        self, *, directory: Path | None = None, environ: Mapping[str, str] = os.environ
    ) -> None:
        self._environ = dict(environ) | (_own_places(directory) if directory else {})
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self.settings: Settings = load_settings(self._environ)
        self._starter = Starter(Places(self._environ))
        self.client = client.Engine(self._connected)

    def __enter__(self) -> Self:
        if self._directory is not None:
            self._start(self._directory)
        self.info()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _start(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / "engine.out").open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator.daemon"],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_S
        while (connection := self._starter.running()) is None:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                words = (directory / "engine.out").read_text(errors="replace").strip()
                raise Unavailable(
                    f"the engine did not start: {words}",
                    code="engine-did-not-start",
                    about=str(directory),
                    hint=f"{self.settings.log_file} may say more",
                )
            time.sleep(_POLL_S)
        connection.close()

    def _connected(self) -> socket.socket:
        """A connection to the engine; one of this object's own is not started again."""
        if self._directory is None:
            return self._starter.connect()
        if (connection := self._starter.running()) is None:
            raise Unavailable(
                "the engine has ended",
                code="engine-gone",
                about=str(self._directory),
                hint=f"{self.settings.log_file} may say why",
            )
        return connection

    def info(self) -> dict[str, Any]:
        """What the engine is, as Docker's GET /info."""
        return dict(self.client.get("/info"))

    def stack(
        self,
        *files: str | Path,
        name: str = "",
        environ: Mapping[str, str] | None = None,
        profiles: Sequence[str] = (),
        wait: str = "healthy",
        timeout_s: float = 120.0,
        keep: bool = False,
    ) -> Stack:
        """The stack of these files, later ones laid over earlier ones; up while its block lasts.

        `wait` is for what to wait: `healthy` or `running`. With `keep` it stays up, and its
        volumes with it.
        """
        return Stack(
            self,
            [str(file) for file in files] or ["stack.yml"],
            name=name,
            environ=self._environ if environ is None else dict(environ),
            profiles=tuple(profiles),
            wait=wait,
            timeout_s=timeout_s,
            keep=keep,
        )


class Stack:
    """A stack: up from `__enter__` on, down with its volumes at `__exit__`."""

    def __init__(
        self,
        engine: Engine,
        files: Sequence[str],
        *,
        name: str,
        environ: Mapping[str, str],
        profiles: Sequence[str],
        wait: str,
        timeout_s: float,
        keep: bool,
    ) -> None:
        self._client = engine.client
        self._files = files
        self._environ = environ
        self._profiles = profiles
        self._wait = wait
        self._timeout_s = timeout_s
        self._keep = keep
        self.name = name

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.down)
            self.up()
            undo.pop_all()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _where: TracebackType | None,
    ) -> None:
        if not self._keep:
            self.down()

    def up(self) -> None:
        """Nothing, once the stack is as its files say, and what was to be waited for is so.

        Raises: StackInvalid: the files have problems.  Failed: it does not come up, or not in time.
        """
        # YAML is imported where a file is read.
        from orchestrator.compose.load import load_stack  # noqa: PLC0415

        loaded = load_stack(
            self._files,
            project_name=self.name or None,
            profiles=self._profiles,
            environ=self._environ,
        )
        self.name = loaded.stack.name
        contents = {
            source: b64encode(content).decode()
            for source, content in loaded.read_contents().items()
        }
        body = {
            "stack": json.loads(msgspec.json.encode(loaded.stack)),
            "contents": contents,
            "wait": self._wait,
            "wait_timeout_s": self._timeout_s,
        }
        self._wish("up", body)

    def down(self, *, volumes: bool = True) -> None:
        """Nothing, once nothing is left of the stack; with `volumes` nor of these."""
        if self.name:
            self._wish("down", {"volumes": volumes})

    def _wish(self, verb: str, body: Mapping[str, Any]) -> None:
        path = f"/pystack/v1/stacks/{client.quote(self.name)}/{verb}"
        for line in self._client.lines("POST", path, body=dict(body)):
            if "error" in line:
                raise error_of(line["error"])

    def containers(self, service: str = "") -> list[Container]:
        """The stack's containers, or a service's, in their order."""
        labels = [f"{_PROJECT}={self.name}"] + ([f"{_SERVICE}={service}"] if service else [])
        found = self._client.get("/containers/json", all=True, filters={"label": labels}) or []
        made = [
            Container(
                id=one["Id"],
                name=one["Names"][0].removeprefix("/"),
                service=one["Labels"].get(_SERVICE, ""),
                number=int(one["Labels"].get(_NUMBER) or 0),
                state=one["State"],
                status=one["Status"],
            )
            for one in found
        ]
        return sorted(made, key=lambda one: (one.service, one.number))

    def container(self, service: str, number: int = 1) -> Container:
        """One container of a service.  Raises: NotFound."""
        for one in self.containers(service):
            if one.number == number:
                return one
        raise NotFound(
            f"stack {self.name} has no container {number} of service {service}",
            code="no-such-container",
            about=service,
            hint="`pystack ps` lists what it has",
        )

    def address(
        self, service: str, port: int, protocol: str = "tcp", *, number: int = 1
    ) -> Address:
        """Where a container's port is published.  Raises: NotFound: it is not."""
        one = self.container(service, number)
        shown = self._client.get(f"/containers/{one.id}/json")["NetworkSettings"]["Ports"]
        for place in shown.get(f"{port}/{protocol}") or ():
            host = place["HostIp"]
            return Address(_EVERYWHERE.get(host, host), int(place["HostPort"]))
        raise NotFound(
            f"port {port}/{protocol} of {one.name} is not published",
            code="no-such-port",
            about=one.name,
            hint="publish it in the stack file: `ports:`",
        )

    def execute(
        self, service: str, command: Sequence[str], *, stdin: bytes = b"", number: int = 1
    ) -> Executed:
        """How the command went in a container of the service."""
        one = self.container(service, number)
        body = {
            "Cmd": list(command),
            "AttachStdin": bool(stdin),
            "AttachStdout": True,
            "AttachStderr": True,
        }
        made = self._client.post(f"/containers/{one.id}/exec", body)["Id"]
        connection, received = self._client.hijack(f"/exec/{made}/start", {"Detach": False})
        frames = Frames()
        said: dict[int, bytes] = {}
        with connection:
            connection.settimeout(None)
            if stdin:
                connection.sendall(stdin)
                connection.shutdown(socket.SHUT_WR)
            while True:
                for stream, content in frames.feed(received):
                    said[stream] = said.get(stream, b"") + content
                if not (received := connection.recv(_PIECE)):
                    break
        code = self._client.get(f"/exec/{made}/json")["ExitCode"]
        return Executed(exit_code=code, stdout=said.get(STDOUT, b""), stderr=said.get(STDERR, b""))

    def logs(self, *services: str, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """The lines that its containers, or those of some services, have said: `web-1  | text`."""
        for line in self.said(*services, follow=follow, tail=tail):
            if line is not None:
                yield line

    def said(
        self,
        *services: str,
        follow: bool = False,
        tail: int | None = None,
        tick_s: float | None = None,
    ) -> Generator[str | None]:
        """The same, with None for every `tick_s` seconds in which nothing was said."""
        query = {
            "services": ",".join(services),
            "follow": follow,
            "tail": "" if tail is None else str(tail),
        }
        path = f"/pystack/v1/stacks/{client.quote(self.name)}/logs"
        for line in self._client.lines("GET", path, query=query, tick_s=tick_s):
            if line is None:
                yield None
            elif "error" in line:
                raise error_of(line["error"])
            else:
                yield f"{line['service']}-{line['number']}  | {line['line']}"


def _own_places(directory: Path) -> dict[str, str]:
    place = directory.resolve()
    return {
        "PYSTACK_DATA_DIR": str(place / "data"),
        "PYSTACK_RUN_DIR": str(place / "run"),
        "PYSTACK_SOCKET": str(place / "run/pystack.sock"),
        "PYSTACK_LOG_FILE": str(place / "engine.log"),
    }
