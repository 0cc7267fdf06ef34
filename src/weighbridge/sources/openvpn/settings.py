"""What a `[[sources.openvpn]]` table says: where a server tells its status, and which VPN instance it is."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Annotated, Final

import msgspec

_ADDRESS: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})", re.ASCII)
_PORT_END = 2**16


def _text(description: str) -> msgspec.Meta:
    return msgspec.Meta(min_length=1, max_length=1024, description=description)


class OpenvpnSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One server: a status file, or a management socket and where its password is."""

    instance: Annotated[str, msgspec.Meta(description="Id of the VPN instance whose sessions these are")]
    status: Annotated[str, _text("Status file of the server, of version 2 or 3")] | None = None
    management: Annotated[str, _text("Management socket instead: HOST:PORT, or its path")] | None = None
    password_env: Annotated[str, _text("Variable that holds the management password")] | None = None
    password_file: Annotated[str, _text("File that holds the management password")] | None = None
    interval_s: Annotated[float, msgspec.Meta(ge=1, le=86_400, description="Seconds between readings")] = 10

    def __post_init__(self) -> None:
        """ValueError names the key at fault and says what would be right."""
        try:
            msgspec.structs.force_setattr(self, "instance", str(uuid.UUID(self.instance)))
        except ValueError:
            raise ValueError(f"instance {self.instance!r} is no UUID; write the id of a VPN instance of the catalog") from None
        if (self.status is None) == (self.management is None):
            raise ValueError("status or management must say where the server tells its status; give one of the two")
        if self.password_env is not None and self.password_file is not None:
            raise ValueError("password_env and password_file are both given; keep one of the two")
        if self.management is None and (self.password_env or self.password_file):
            raise ValueError("a password goes with management; a status file has none")
        if self.management is not None:
            read_address(self.management)

    def placed(self, folder: Path) -> OpenvpnSettings:
        """The same with absolute paths: relative ones start at `folder`, `~` is the home folder."""
        paths = {"status": self.status, "password_file": self.password_file}
        if self.management is not None and "/" in self.management:
            paths["management"] = self.management
        absolute = {key: str(folder / Path(path).expanduser()) for key, path in paths.items() if path is not None}
        return msgspec.structs.replace(self, **absolute)


def read_address(text: str) -> str | tuple[str, int]:
    """The path of a socket (whatever holds a slash), or a host and port. ValueError: it is neither."""
    if "/" in text:
        return text
    form = _ADDRESS.fullmatch(text)
    if form is None or not 0 < int(form[3]) < _PORT_END:
        raise ValueError(f'management {text!r} is neither as in "127.0.0.1:7505" nor as in "/run/openvpn/management.sock"')
    return form[1] or form[2], int(form[3])
