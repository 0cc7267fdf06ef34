"""Whatever the bytes: each line is counted once, and DuckDB's way finds what the format as written says line by line."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.access_logs import KINDS, CountingReader, count_lines, logs, read_slowly, reader
from weighbridge.sources.log import decode, sieve

EXAMPLES = 50
slowly = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
few = settings(slowly, max_examples=EXAMPLES // 5)


@pytest.fixture(scope="module", autouse=True)
def few_lines_go_to_duckdb_too():
    """Examples are short; what decides the way is only how long they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "SLOW_BYTES", 0)
        patch.setattr(sieve, "SHORT_LINE", 1)
        yield


@pytest.fixture(scope="module")
def readers():
    """A pair for each kind: DuckDB takes longer to start than to read an example."""
    made = {name: (reader(kind=CountingReader, **table), reader(**table)) for name, (_, table) in KINDS.items()}
    yield made
    for pair in made.values():
        for each in pair:
            each.close()


@pytest.mark.parametrize("kind", KINDS)
def test_both_ways_find_the_same(kind, readers):
    fast, slow = readers[kind]
    fast.fast = 0
    agreed = 0

    @slowly
    @given(logs(kind))
    def check(data):
        nonlocal agreed
        found = fast.read(data)
        assert found == read_slowly(slow, data)
        assert fast.header == slow.header
        assert found.counted + found.bad + found.unmatched + found.blank == found.lines == count_lines(data)
        assert sum(each.requests for each in found.sums) == found.counted
        agreed += found.counted + found.unmatched

    check()
    assert min(agreed, fast.fast) > EXAMPLES / 10, "lines must have been counted, and DuckDB have had its share"


@pytest.mark.parametrize("kind", KINDS)
def test_any_bytes_are_lines_of_some_kind(kind, readers):
    fast, slow = readers[kind]

    @few
    @given(st.binary(max_size=300) | st.lists(st.sampled_from(list(b'" \na[]\\{}'))).map(bytes))
    def check(data):
        found = fast.read(data)
        assert found == read_slowly(slow, data)
        assert found.counted + found.bad + found.unmatched + found.blank == found.lines == count_lines(data)

    check()


def merged(chunks):
    """Sums of chunks together, by place and slot."""
    found = {}
    for each in (each for chunk in chunks for each in chunk.sums):
        key = (each.subject, each.environment, each.consumer, each.method, each.path, each.slot_s)
        amounts = (each.requests, each.bytes_in, each.bytes_out)
        before = found.get(key, (0, None, None))
        found[key] = tuple(
            more if less is None else less if more is None else less + more for less, more in zip(before, amounts, strict=True)
        )
    return found


@pytest.mark.parametrize("kind", ["combined-rules", "nginx-json", "caddy-rules", "alb"])
def test_where_a_log_is_cut_and_in_which_order_its_lines_stand_changes_nothing(kind, readers):
    fast, _ = readers[kind]

    @few
    @given(st.lists(KINDS[kind][0], max_size=10), st.randoms(use_true_random=False), st.integers(0, 10))
    def check(lines, chance, at):
        rows = [line.encode("utf-8", "surrogatepass").replace(b"\n", b"") + b"\n" for line in lines]
        whole = fast.read(b"".join(rows))
        parts = [fast.read(b"".join(rows[:at])), fast.read(b"".join(rows[at:]))]
        assert merged(parts) == merged([whole])
        assert sum(part.bad for part in parts) == whole.bad
        chance.shuffle(rows)
        assert fast.read(b"".join(rows)).sums == whole.sums

    check()
