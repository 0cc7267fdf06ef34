"""The least HTTP/1.1 client that a load generator needs: requests are bytes, answers are read by their length."""

from __future__ import annotations

import re
import socket

RECEIVE_BYTES = 256 * 1024
TIMEOUT_S = 60.0
"""A server that says nothing for so long ends the benchmark."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class BrokenAnswerError(Exception):
    """The server closed the connection, or its answer has no length."""


def connect(port: int) -> socket.socket:
    """A connection to a port of loopback, without delays."""
    made = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def missing_bytes(data: bytes) -> int:
    """How many bytes of an answer are still to come; 1 while its head is not whole."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 1
    length = _LENGTH.search(data, 0, end + 2)
    if length is None:
        raise BrokenAnswerError(data[:200])
    return end + 4 + int(length[1]) - len(data)


def ask(connection: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Status and body of the answer to one request."""
    connection.sendall(request)
    data = b""
    while missing_bytes(data) > 0:
        part = connection.recv(RECEIVE_BYTES)
        if not part:
            raise BrokenAnswerError(data[:200])
        data += part
    return int(data[9:12]), data[data.index(b"\r\n\r\n") + 4 :]


def get(path: str, key: str, organization: str = "") -> bytes:
    """A GET request; `organization` says who `me` is to Storyblok's endpoint."""
    me = f"Weighbridge-Organization: {organization}\r\n" if organization else ""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n{me}\r\n".encode()


def put(path: str, body: bytes, key: str) -> bytes:
    """A PUT request with a JSON body."""
    return (
        f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def post_head(path: str, key: str, content_type: str, length: int) -> bytes:
    """The head of a POST request."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()
