"""The answer against a naive count row by row, and no parameter that upsets anything."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from support.seed_world import ACME, World
from weighbridge.dialects.storyblok.routes import DIALECT

PATH = "/v1/orgs/me/statistics/all_traffic"
TODAY = dt.date(2025, 12, 14)
BASE_S = 1_735_689_600  # 2025-01-01T00:00:00Z
LABEL = {"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}
FIRST = {"day": "%Y-%m-%d", "month": "%Y-%m-01", "year": "%Y-01-01"}
AMOUNT = st.one_of(st.none(), st.integers(0, 3))

Row = tuple[int, int, int | None, int | None, int | None]
ROWS = st.lists(
    st.tuples(st.integers(1, 13), st.integers(-40 * 288, 380 * 288), AMOUNT, AMOUNT, AMOUNT), max_size=40
)


def known(amounts: list[int | None]) -> int | None:
    found = [amount for amount in amounts if amount is not None]
    return sum(found) if found else None


def date_of(row: Row) -> dt.date:
    return dt.datetime.fromtimestamp(BASE_S + row[1] * 300, dt.UTC).date()


def shown(rows: list[Row], date: str) -> dict[str, Any]:
    requests, bytes_ = known([row[4] for row in rows]), known([amount for row in rows for amount in row[2:4]])
    return {
        "date": date,
        "api_requests": requests or 0,
        "total_bytes": 0 if requests is None and bytes_ is None else bytes_,
    }


def moved(told: dict[str, Any]) -> bool:
    return bool(told["api_requests"] or told["total_bytes"])


def naive(rows: list[Row], first: dt.date, last: dt.date, group_by: str, unit: str) -> dict[str, Any]:
    """The answer without the limits, by going over all rows again and again."""
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    dates = list(dict.fromkeys(day.strftime(FIRST[group_by]) for day in days))
    inside = [row for row in rows if first <= date_of(row) <= last]

    def of(date: str, spaces: set[int]) -> list[Row]:
        return [row for row in inside if row[0] in spaces and date_of(row).strftime(FIRST[group_by]) == date]

    everyone = set(range(1, 14))
    weights = {}
    for space in everyone:
        told = [shown(of(date, {space}), date) for date in dates]
        if any(moved(each) for each in told):
            weights[space] = sum((each["total_bytes" if unit == "bytes" else "api_requests"] or 0) for each in told)
    top = sorted(weights, key=lambda space: (-weights[space], space))[:10]
    this_year = [row for row in rows if dt.date(2025, 1, 1) <= date_of(row) <= TODAY]
    used = [row[4] for row in this_year] if unit == "requests" else [a for row in this_year for a in row[2:4]]
    lately = [row[4] for row in rows if TODAY - dt.timedelta(days=6) <= date_of(row) <= TODAY]
    traffic = []
    for date in dates:
        label = dt.date.fromisoformat(date).strftime(LABEL[group_by])
        for space in sorted(everyone):
            told = shown(of(date, {space}), label)
            if moved(told):
                traffic.append(told | {"space_id": space})

    def listed(spaces: set[int]) -> list[dict[str, Any]]:
        return [told for date in dates if moved(told := shown(of(date, spaces), date))]

    return {
        "traffic_used_this_year": known(used) or 0,
        "cumulated_traffic": {
            "requests_used_last_days": known(lately) or 0,
            "total_requests_per_time_period": known([row[4] for row in inside]) or 0,
            "total_traffic_per_time_period": known([a for row in inside for a in row[2:4]]) or 0,
            "traffic": [shown(of(date, everyone), date) for date in dates],
        },
        "traffic_top_spaces": {str(space): listed({space}) for space in top}
        | {"other_spaces": listed(everyone - set(top))},
        "traffic": traffic,
    }


@settings(max_examples=60, deadline=None)
@given(
    rows=ROWS,
    days=st.tuples(st.integers(-35, 380), st.integers(0, 120)),
    group_by=st.sampled_from(["day", "month", "year"]),
    unit=st.sampled_from(["requests", "bytes"]),
    usual=st.booleans(),
)
def test_the_answer_is_what_a_naive_count_says(
    rows: list[Row], days: tuple[int, int], group_by: str, unit: str, usual: bool
) -> None:
    first = dt.date(2025, 1, 1) + dt.timedelta(days=days[0])
    last = first + dt.timedelta(days=days[1])
    query = {"start_date": first.isoformat(), "end_date": last.isoformat(), "group_by": group_by}
    if usual:
        first, last, query = dt.date(2025, 1, 1), TODAY, {"group_by": group_by}
    with World(DIALECT) as world:
        world.organization(ACME, traffic_limit_unit=unit)
        series = {number: world.space(number) for number in range(13, 0, -1)}
        for space, slot, *amounts in rows:
            world.put(series[space], BASE_S + slot * 300, *amounts)
        body = world.get(PATH, query).json()
    del body["montly_traffic_limit"], body["yearly_traffic_limit"]
    assert body == naive(rows, first, last, group_by, unit)
    assert list(body["traffic_top_spaces"]) == list(naive(rows, first, last, group_by, unit)["traffic_top_spaces"])


WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "day", "month", "year", "2025-01-01", "1972-01-01", "9998-12-31", "0000-00-00", "2024-02-30"]),
    st.dates().map(dt.date.isoformat),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["start_date", "end_date", "group_by", "other"]), WORDS, max_size=4))
def test_no_parameter_upsets_it(query: dict[str, str]) -> None:
    with World(DIALECT) as world:
        world.put(world.space(1), BASE_S, 1, 1, 1)
        assert world.get(PATH, query).status_code in (200, 422)  # and of the documented form
