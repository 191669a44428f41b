"""What a container said before it went is read, though its input was not."""

from __future__ import annotations

import socket

from orchestrator.runtime.attach import Attachment


async def test_output_is_read_to_its_end_though_conmon_went_with_input_unread() -> None:
    ours, conmons = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.setblocking(False)
        ours.send(b"input that nobody reads")
        for text in (b"\x02first", b"\x02second", b"\x03third"):
            conmons.send(text)
        conmons.close()
        found = [piece async for piece in Attachment(ours).output()]
    assert found == [(1, b"first"), (1, b"second"), (2, b"third")]
