"""The APIs that customers' tools speak. A new one: a folder here, and its line below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weighbridge.dialects.altostrat.routes import DIALECT as ALTOSTRAT
from weighbridge.dialects.apitally.routes import DIALECT as APITALLY
from weighbridge.dialects.latitude.routes import DIALECT as LATITUDE
from weighbridge.dialects.native.routes import DIALECT as NATIVE
from weighbridge.dialects.storyblok.routes import DIALECT as STORYBLOK

if TYPE_CHECKING:
    from weighbridge.http.route import Dialect

DIALECTS: dict[str, Dialect] = {
    "latitude": LATITUDE,
    "apitally": APITALLY,
    "storyblok": STORYBLOK,
    "altostrat": ALTOSTRAT,
    "native": NATIVE,
}
"""By name. `native` has more routes than these: see native_dialect."""
