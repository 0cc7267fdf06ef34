"""A catalog of the second schema is brought to the third: nothing is lost, and series are found again."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec
from alembic import command
from sqlalchemy import create_engine, text

from weighbridge.model import Kind, Series, SeriesKey
from weighbridge.storage.catalog.migrate import alembic_config, stored_revision
from weighbridge.storage.catalog.store import FILE_NAME, SqlCatalog

if TYPE_CHECKING:
    from pathlib import Path

    from support.kit import HandClock

VPN = "d290f1ee-6c54-4b01-90e6-d701748f0851"
ROWS = (
    "INSERT INTO regions (id, slug, name) VALUES ('reg_br', 'brazil', 'Brazil')",
    "INSERT INTO organizations VALUES ('org_a', 'a', 'A', 'UTC', 1, NULL, 'requests', NULL)",
    "INSERT INTO projects VALUES ('p', 'p', 'org_a', 'Normal', NULL, NULL)",
    "INSERT INTO servers VALUES ('sv_1', 'web-1', 'p', 'brazil', NULL)",
    "INSERT INTO placements VALUES ('sv_1', 0, 'p', 'brazil')",
    f"INSERT INTO vpn_instances VALUES ('{VPN}', 'org_a', 'hq', NULL, 'sv_1', NULL)",
    f"INSERT INTO peers VALUES ('{VPN}', 'alice', 'key', NULL)",
    f"INSERT INTO peers VALUES ('{VPN}', 'bob', NULL, 7)",
    "INSERT INTO numbers VALUES ('series', 2)",
)
SERVER, PEER = SeriesKey(Kind.SERVER, "sv_1"), SeriesKey(Kind.PEER, f"{VPN}/alice")


def digest(key: SeriesKey) -> str:
    """As the second schema's version made it: of a key that had no `via`."""
    told = {name: value for name, value in msgspec.structs.asdict(key).items() if name != "via"}
    return sha256(msgspec.json.encode(told)).digest()[:16].hex()


def make(path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0002")
        for row in ROWS:
            connection.execute(text(row))
        for number, key in ((1, SERVER), (2, PEER)):
            connection.execute(text(
                f"INSERT INTO series VALUES ({number}, x'{digest(key)}', '{key.kind}', '{key.object}', "
                "NULL, NULL, NULL, NULL, 1)"
            ))
    engine.dispose()


def test_what_was_there_is_there(tmp_path: Path, clock: HandClock) -> None:
    make(tmp_path / FILE_NAME)
    catalog = SqlCatalog(tmp_path, clock)
    view = catalog.view()
    alice, bob = view.peers[VPN, "alice"], view.peers[VPN, "bob"]
    assert (alice.public_key, alice.common_name, alice.attributions, bob.deleted_at_s) == ("key", None, (), 7)
    assert (view.servers["sv_1"].attributions, view.vpns[VPN].attributions, view.exporters) == ((), (), {})
    assert view.series == {1: Series(1, SERVER, polled=True), 2: Series(2, PEER, polled=True)}
    catalog.close()


def test_series_keep_their_numbers_and_others_are_told_apart(tmp_path: Path, clock: HandClock) -> None:
    make(tmp_path / FILE_NAME)
    catalog = SqlCatalog(tmp_path, clock)
    seen = SeriesKey(Kind.SERVER, "sv_1", via="flows")
    assert [series.id for series in catalog.enter_series([SERVER, PEER, seen])] == [1, 2, 3]
    with catalog._transaction() as connection:
        kept = connection.execute(text("SELECT hex(digest) FROM series WHERE id = 1")).scalar()
    assert str(kept).lower() == digest(SERVER)
    catalog.close()
    again = SqlCatalog(tmp_path, clock)
    assert again.view().series[3] == Series(3, seen)
    assert [series.id for series in again.enter_series([seen, SERVER])] == [3, 1]
    again.close()


def test_it_goes_back_to_the_schema_before(tmp_path: Path, clock: HandClock) -> None:
    make(tmp_path / FILE_NAME)
    SqlCatalog(tmp_path, clock).close()
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}")
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0002")
        assert stored_revision(connection) == "0002"
        assert connection.execute(text("SELECT * FROM peers WHERE id = 'alice'")).one() == (VPN, "alice", "key", None)
    engine.dispose()
    SqlCatalog(tmp_path, clock).close()
