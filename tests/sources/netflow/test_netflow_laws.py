"""Whatever exporters define, in whatever order and however it is cut into blocks: what is decoded is what was sent."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from support import netflow
from support.netflow import IPFIX, V5, V9, VARIABLE, Referee, block, flows_of

from weighbridge.sources.netflow.decode import Decoder

AMOUNT = st.integers(0, 2**40)
SMALL = st.integers(0, 3)
MOMENT_MS = st.integers(1_795_652_000_000, 1_795_652_200_000)
ELEMENTS = {
    1: ((1, 2, 4, 5, 8), AMOUNT), 2: ((2, 3, 4, 8), AMOUNT), 85: ((8,), AMOUNT), 86: ((8,), AMOUNT), 23: ((4,), AMOUNT),
    231: ((8,), AMOUNT), 8: ((4,), st.integers(0, 2**32 - 1)), 12: ((4,), st.integers(0, 2**32 - 1)),
    27: ((16,), st.integers(0, 2**128 - 1)), 28: ((16,), st.integers(0, 2**128 - 1)),
    21: ((4,), st.integers(0, 2**32 - 1)), 22: ((4,), st.integers(0, 2**32 - 1)), 150: ((4,), st.just(1_795_652_100)),
    152: ((8,), MOMENT_MS), 153: ((8,), MOMENT_MS), 34: ((1, 2, 4), st.integers(0, 2000)), 50: ((2, 4), SMALL),
    48: ((1, 2, 4), SMALL), 302: ((1, 2, 8), SMALL), 10: ((2, 4), SMALL), 14: ((2, 3, 4), SMALL),
    56: ((6,), st.integers(0, 2**48 - 1)), 80: ((6,), SMALL), 57: ((6,), SMALL), 58: ((2,), SMALL), 59: ((2,), SMALL),
    243: ((2,), SMALL), 254: ((2,), SMALL), 60: ((1,), st.sampled_from([0, 4, 6])), 61: ((1,), st.just(0)),
    4: ((1, 3), st.integers(0, 255)), 4000: ((7, 0), st.just(0)), 82: ((VARIABLE, 16), None), 371: ((VARIABLE,), None),
}
"""Element → the lengths that it is sent with, and its values."""
TOLD = {34: ((2, 4), st.integers(0, 500)), 50: ((4,), SMALL), 48: ((1, 2), SMALL), 302: ((8,), SMALL), 10: ((4,), SMALL),
        305: ((4,), SMALL), 306: ((4,), st.integers(0, 9)), 160: ((8,), st.just(1_795_651_599_000)), 82: ((VARIABLE,), None)}
"""The same of options."""


def field(draw, elements):
    element = draw(st.sampled_from(sorted(elements)))
    return element, draw(st.sampled_from(elements[element][0]))


@st.composite
def a_template(draw, version):
    """(is options, scopes, fields)"""
    is_options = draw(st.integers(0, 3)) == 0
    elements = TOLD if is_options else ELEMENTS
    fields = [field(draw, elements) for _ in range(draw(st.integers(1, 12)))]
    if draw(st.booleans()) and not is_options:
        fields += [(8, 4), (12, 4), (1, 4)]
    fields += [(9999, 4)]  # longer than any padding
    if version == IPFIX and draw(st.booleans()):
        fields.insert(draw(st.integers(0, len(fields))), (draw(st.sampled_from([1, 8, 48])), 4, 9))  # of an enterprise
    scopes = [(draw(st.sampled_from([1, 2] if version == V9 else [10, 143])), 4)] if is_options else []
    return is_options, scopes, fields


@st.composite
def a_record(draw, template):
    is_options, scopes, fields = template
    values = [draw(SMALL) for _ in scopes]
    for element, length, *enterprise in fields:
        strategy = (TOLD if is_options else ELEMENTS).get(element, (None, SMALL))[1] if not enterprise else SMALL
        if length == VARIABLE:
            values.append(b"x" * draw(st.sampled_from([0, 1, 3, 254, 255, 300])))
        elif strategy is None:
            values.append(bytes(length))
        else:
            values.append(draw(strategy) % 256**length)
    return netflow.record([*scopes, *fields], values)


@st.composite
def a_conversation(draw):
    """Datagrams as (source, bytes), of two exporters with two domains each."""
    told = []
    for source, version, domain in draw(st.lists(st.tuples(
        st.sampled_from(["192.0.2.1", "2001:db8::1"]), st.sampled_from([V5, V9, IPFIX]), st.integers(0, 1),
    ), min_size=1, max_size=4, unique=True)):
        told += a_stream(draw, source, version, domain)
    return told


def a_stream(draw, source, version, domain):
    if version == V5:
        numbers = st.integers(0, 2**32 - 1)
        records = draw(st.lists(st.tuples(numbers, numbers, numbers, numbers, numbers, numbers), max_size=5))
        return [(source, netflow.v5(records, engine=domain, sampling=draw(st.integers(0, 2**16 - 1))))]
    assigned, sent, sets = {}, set(), []
    for _ in range(draw(st.integers(1, 10))):
        number = draw(st.integers(256, 258))
        if number not in assigned or draw(st.integers(0, 3)) == 0:
            assigned[number] = draw(a_template(version))
            if number in sent:
                sets.append(definition(version, number, assigned[number]))
        what = draw(st.sampled_from(["define", "data", "data"]))
        if what == "define":
            sent.add(number)
            sets.append(definition(version, number, assigned[number]))
        else:
            content = b"".join(draw(st.lists(a_record(assigned[number]), max_size=4)))
            sets.append(netflow.a_set(number, content, padding=draw(st.integers(0, 3))))
    datagrams = []
    while sets:
        count = draw(st.integers(1, 4))
        datagrams.append((source, netflow.message(version, *sets[:count], domain=domain)))
        sets = sets[count:]
    return datagrams


def definition(version, number, template):
    is_options, scopes, fields = template
    if is_options:
        return netflow.options_templates(version, (number, scopes, fields))
    return netflow.templates(version, (number, fields))


@settings(max_examples=300, deadline=None)
@given(a_conversation(), st.data())
def test_what_is_decoded_is_what_was_sent(told, data):
    told = data.draw(st.permutations(told)) if data.draw(st.booleans()) else told
    referee = Referee()
    for source, datagram in told:
        referee.read(source, datagram)
    decoder, flows, counts = Decoder(), [], Counter()
    while told:
        count = data.draw(st.integers(1, len(told)))
        decoded = decoder.decode(block([each for _, each in told[:count]], [source for source, _ in told[:count]]))
        flows += flows_of(decoded)
        for (_, what), many in decoded.counts.items():
            counts[what] += many
        told = told[count:]
    assert Counter(flows) == Counter(referee.flows)
    for what in ("records_without_bytes", "records_without_address"):
        assert counts[what] == referee.counts[what]
