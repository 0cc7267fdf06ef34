"""What a `[[sources.wireguard]]` table says: which interface, and which VPN instance it is."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Final

import msgspec

_INTERFACE: Final = re.compile(r"[A-Za-z0-9_=+.][A-Za-z0-9_=+.-]{0,14}", re.ASCII)  # as `wg` takes them; IFNAMSIZ
_WORDS_OF_WG: Final = ("all", "interfaces")

Seconds = Annotated[float, msgspec.Meta(ge=1, le=86_400)]


class WireguardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One interface. `command`: where `wg` is, for userspace WireGuard and where pyroute2 is not installed."""

    interface: str
    instance: str
    interval_s: Seconds = 10.0
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] = "wg"

    def __post_init__(self) -> None:
        """ValueError names the key at fault and says what would be right."""
        if not _INTERFACE.fullmatch(self.interface) or self.interface in _WORDS_OF_WG:
            raise ValueError(f'interface {self.interface!r} is no name of a WireGuard interface; write one, as in "wg0"')
        msgspec.structs.force_setattr(self, "instance", read_instance(self.instance))


def read_instance(text: str) -> str:
    """The UUID in lower case. ValueError: it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise ValueError(f"instance {text!r} is no UUID; write the id of a VPN instance of the catalog") from None
