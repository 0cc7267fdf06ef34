"""Zones and moments where clocks do what programmers do not expect; hypothesis draws around them."""

from __future__ import annotations

import datetime as dt

from hypothesis import strategies as st

ODD = [
    ("America/New_York", "2025-03-09"), ("America/New_York", "2025-11-02"), ("Europe/Berlin", "2025-10-26"),
    ("Australia/Lord_Howe", "2025-04-05"), ("Australia/Lord_Howe", "2025-10-04"),  # half an hour
    ("Asia/Kathmandu", "2025-06-01"), ("Asia/Kathmandu", "1985-12-31"),            # +05:45, and +05:30 before
    ("America/Sao_Paulo", "2018-11-04"), ("America/Sao_Paulo", "2018-02-17"),      # at midnight, either way
    ("Asia/Beirut", "2022-03-27"), ("America/Havana", "2025-11-02"),
    ("Pacific/Apia", "2011-12-30"), ("Pacific/Kiritimati", "1994-12-31"), ("Pacific/Kwajalein", "1993-08-21"),
    ("America/St_Johns", "2006-10-28"), ("America/St_Johns", "2006-04-02"),        # at one minute past midnight
    ("Asia/Gaza", "2011-04-01"), ("Africa/Casablanca", "2025-02-23"), ("Europe/Dublin", "2025-10-26"),
    ("Africa/Monrovia", "1972-01-06"), ("America/Caracas", "2016-05-01"), ("Asia/Pyongyang", "2018-05-04"),
    ("Antarctica/Troll", "2025-03-30"), ("Africa/Juba", "2021-01-31"), ("UTC", "2025-12-31"), ("UTC", "2000-02-29"),
]
"""(zone, a date at or next to the oddity)"""

NAMES = sorted({name for name, _ in ODD})


def _slot_s(date: str) -> int:
    return int(dt.datetime.fromisoformat(date + "T00:00:00+00:00").timestamp())


def moments() -> st.SearchStrategy[tuple[str, int]]:
    """(zone, instant on a 5-minute slot): within two days of an oddity, or anywhere from 1973 to 2099."""
    near = st.builds(lambda odd, slots: (odd[0], _slot_s(odd[1]) + slots * 300),
                     st.sampled_from(ODD), st.integers(-576, 576))
    anywhere = st.tuples(st.sampled_from(NAMES), st.integers(94_694_400 // 300, 4_070_908_800 // 300).map(300 .__mul__))
    return st.one_of(near, near, anywhere)
