"""A real server on loopback for tests."""

from __future__ import annotations

from weighbridge.http.run import running

__all__ = ["running"]
