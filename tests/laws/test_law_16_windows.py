"""Law 16, the part without stores: the windows of [a, b) and of [b, c) are those of [a, c), cut at b."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from laws.zones import moments
from weighbridge.domain.timegrid import WINDOWS, Window, windows, zone

LENGTH_SLOTS = {"5m": 300, "15m": 900, "30m": 900, "1h": 900, "1d": 9000, "1mo": 40_000, "1y": 400_000, "total": 900}


@settings(max_examples=200, deadline=None)
@given(moment=moments(), window=st.sampled_from(WINDOWS), data=st.data())
def test_windows_join(moment: tuple[str, int], window: str, data: st.DataObject) -> None:
    name, a_s = moment
    tz = zone(name)
    b_s = a_s + 300 * data.draw(st.integers(0, LENGTH_SLOTS[window]))
    c_s = b_s + 300 * data.draw(st.integers(0, LENGTH_SLOTS[window]))
    whole = windows(a_s, c_s, window, tz)
    inner = {w.start_s for w in whole} | {w.end_s for w in whole}
    left, right = windows(a_s, b_s, window, tz), windows(b_s, c_s, window, tz)
    if left and right and (b_s not in inner or window == "total"):
        *left, cut = left
        first, *right = right
        assert cut.end_s == first.start_s == b_s
        right = [Window(cut.start_s, first.end_s), *right]
    assert left + right == whole
