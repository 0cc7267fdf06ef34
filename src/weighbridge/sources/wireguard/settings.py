"""What a `[[sources.wireguard]]` table says: which interface, and which VPN instance it is."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Final

import msgspec

_INTERFACE: Final = re.compile(r"[A-Za-z0-9_=+.][A-Za-z0-9_=+.-]{0,14}", re.ASCII)  # as `wg` takes them; IFNAMSIZ
_WORDS_OF_WG: Final = ("all", "interfaces")


class WireguardSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One interface. `command` is used for userspace WireGuard, and where pyroute2 is not installed."""

    interface: Annotated[str, msgspec.Meta(description="Name of the interface, such as wg0")]
    instance: Annotated[str, msgspec.Meta(description="Id of the VPN instance whose peers these are")]
    interval_s: Annotated[float, msgspec.Meta(ge=1, le=86_400, description="Seconds between readings")] = 10
    command: Annotated[str, msgspec.Meta(min_length=1, max_length=1024, description="Where the command wg is")] = "wg"

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
