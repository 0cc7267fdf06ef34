"""Numbers for things that have none here, where a vendor's API has: always the same for the same thing."""

from __future__ import annotations

from hashlib import blake2b

import msgspec


def made_id(bits: int, *name: str | int) -> int:
    """A number from 1 to 2^bits - 1, worked out of what names a thing. `bits` up to 63.

    Two of n things have the same number with a probability of about n^2 / 2^(bits + 1).
    """
    digest = blake2b(msgspec.json.encode(name), digest_size=16, person=b"made-id").digest()
    largest: int = 2**bits - 1
    return int.from_bytes(digest) % largest + 1
