"""The APIs that customers' tools speak. A new one: a folder here, and its line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.dialects.native.routes import DIALECT as NATIVE

if TYPE_CHECKING:
    from weighbridge.http.route import Dialect

DIALECTS: dict[str, Dialect] = {
    "native": NATIVE,
}
