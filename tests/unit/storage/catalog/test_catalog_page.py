"""docs/catalog.md says what is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from weighbridge.dialects.native.catalog import CATALOG_ROUTES
from weighbridge.dialects.native.catalog_yaml import read_yaml
from weighbridge.dialects.native.keys import KEY_ROUTES
from weighbridge.storage.catalog import attributions, kinds, networks

if TYPE_CHECKING:
    from weighbridge.storage.catalog.store import SqlCatalog

PAGE = (Path(__file__).parents[4] / "docs" / "catalog.md").read_text(encoding="utf-8")


def test_its_files_can_be_applied_one_after_the_other(empty: SqlCatalog) -> None:
    files = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(files) == 3
    created = [len(empty.apply(read_yaml(file.encode())).create) for file in files]
    assert created == [11, 0, 0]
    last = empty.view().servers["sv_A05EdQ50dvKYQ"].attributions[-1]
    assert (last.macs, last.exporter, last.billed) == (("52:54:00:12:34:56",), "edge-1", "flows")


def test_its_paths_are_served() -> None:
    served = {route.path for route in (*CATALOG_ROUTES, *KEY_ROUTES)}
    named = {path.replace("UUID", "{vpn}") for path in re.findall(r"/api/v1/[a-z_A-Z/]*[a-zA-Z]", PAGE)}
    assert {path for path in named if not re.search(r"/(ID|sv_A)", path)} <= served
    assert "/api/v1/vpn_instances/{vpn}/peers" in named


def test_its_figures_are_those_of_the_code() -> None:
    for figure in (kinds.ENVIRONMENTS_PER_APP, kinds.CONSUMERS_PER_APP, kinds.FIRST_NUMBER):
        assert f"{figure:,}" in PAGE
    assert f"prefixes, up to {networks.MAX_ADDRESSES:,}" in PAGE
    assert f"VLANs from 1 to {networks.MAX_VLANS}" in PAGE
    assert kinds.MAX_SAMPLING_RATE == 2**31


def test_it_names_every_field_that_is_dated() -> None:
    rows = re.findall(r"^\| (`.*?`) \|", PAGE.partition("## By what")[2].partition("\n## ")[0], re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == {*attributions.ATTRIBUTION_FIELDS, "from"}
