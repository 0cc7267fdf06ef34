"""Talks to a room: hears its name, says `word`, hears it back. Arguments: URL, room, word."""

from __future__ import annotations

import sys

from websockets.sync.client import connect

url, room, word = sys.argv[1:]
with connect(url, additional_headers={"X-Who": "alice"}) as socket:
    assert socket.recv() == room
    socket.send(word)
    assert socket.recv() == word.encode()
