"""What `GET /v1/orgs/me/statistics/assets_traffic` answers, and its JSON Schema.

The vendor's fields are numbers and texts; here those are null that nobody tells a meter.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Asset(msgspec.Struct, frozen=True, gc=False):
    """A file of a space, and what it moved."""

    id: int
    alt: str
    asset_folder_id: int | None
    content_length: int | None
    content_type: str | None
    deleted_at: str | None
    filename: str
    is_private: bool
    space_id: int
    total_bytes: int | None


class Assets(msgspec.Struct, frozen=True):
    """The answer."""

    assets: list[Asset]


_MEMBERS: dict[str, Any] = {
    "id": {
        "type": "integer", "minimum": 1, "maximum": 2**53 - 1,
        "description": "The numeric ID of the asset: made of its space and file name, and always the same for them.",
    },
    "alt": {"type": "string", "description": "The alt text of the asset; unknown here, so empty."},
    "asset_folder_id": {"type": ["integer", "null"], "description": "The ID of its folder; unknown here, so null."},
    "content_length": {"type": ["integer", "null"], "description": "Its length in bytes; unknown here, so null."},
    "content_type": {
        "type": ["string", "null"],
        "description": "The MIME type that the suffix of the file name stands for; null where it stands for none.",
    },
    "deleted_at": {"type": ["string", "null"], "description": "When it was deleted; unknown here, so null."},
    "filename": {"type": "string", "description": "The path that usage was sent with, including the file name."},
    "is_private": {"type": "boolean", "description": "Whether a token is needed to see it; unknown here, so false."},
    "space_id": {"type": "integer", "description": "The ID of the space it belongs to."},
    "total_bytes": {
        "type": ["integer", "null"],
        "minimum": 0,
        "description": "The total bandwidth (in bytes), in plus out; null where requests are known and no bytes are.",
    },
}
ASSETS_SCHEMA = {
    "title": "AssetsTrafficStatistics",
    "type": "object",
    "required": ["assets"],
    "additionalProperties": False,
    "properties": {
        "assets": {
            "type": "array",
            "description": "Assets that moved something, most bytes first, then by space and file name.",
            "items": {
                "type": "object",
                "required": list(_MEMBERS),
                "additionalProperties": False,
                "properties": _MEMBERS,
            },
        },
    },
}
ASSETS_EXAMPLE = {
    "assets": [
        {
            "id": 4809638601509855,
            "alt": "",
            "asset_folder_id": None,
            "content_length": None,
            "content_type": "image/svg+xml",
            "deleted_at": None,
            "filename": "/f/logo.svg",
            "is_private": False,
            "space_id": 123,
            "total_bytes": 250000,
        },
    ],
}
