"""Whatever exporters define, in whatever order and however it is cut into blocks: what is decoded is what was sent."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from support import netflow
from support.netflow import IPFIX, V5, V9, VARIABLE, Referee, block, flows_of
from weighbridge.sources.netflow.decode import Decoder

ADDRESS, NUMBER, AMOUNT = 2**32 - 1, 3, 2**40
SECOND, MOMENT_MS = 1_795_652_100, 1_795_652_100_000
ELEMENTS = {
    1: ((1, 2, 4, 5, 8), AMOUNT), 2: ((2, 3, 4, 8), AMOUNT), 85: ((8,), AMOUNT), 86: ((8,), AMOUNT), 23: ((4,), AMOUNT),
    231: ((8,), AMOUNT), 8: ((4,), ADDRESS), 12: ((4,), ADDRESS), 27: ((16,), 2**128 - 1), 28: ((16,), 2**128 - 1),
    21: ((4,), ADDRESS), 22: ((4,), ADDRESS), 150: ((4,), SECOND), 152: ((8,), MOMENT_MS), 153: ((8,), MOMENT_MS),
    34: ((1, 2, 4), 2000), 50: ((2, 4), NUMBER), 48: ((1, 2, 4), NUMBER), 302: ((1, 2, 8), NUMBER), 10: ((2, 4), NUMBER),
    14: ((2, 3, 4), NUMBER), 56: ((6,), 2**48 - 1), 80: ((6,), NUMBER), 57: ((6,), NUMBER), 58: ((2,), NUMBER),
    59: ((2,), NUMBER), 243: ((2,), NUMBER), 254: ((2,), NUMBER), 61: ((1,), 0), 4: ((1, 3), 255), 4000: ((7, 0), 0),
    82: ((VARIABLE, 16), 0), 371: ((VARIABLE,), 0),
}
"""Element → the lengths that it is sent with, and its largest value."""
TOLD = {
    34: ((2, 4), 500), 50: ((4,), NUMBER), 48: ((1, 2), NUMBER), 302: ((8,), NUMBER), 10: ((4,), NUMBER),
    305: ((4,), NUMBER), 306: ((4,), 9), 160: ((8,), MOMENT_MS), 82: ((VARIABLE,), 0),
}
"""The same of options."""
STRINGS = (0, 1, 3, 254, 255, 300)


def a_template(chance, version):
    """(is options, scopes, fields)"""
    is_options = chance.randrange(4) == 0
    elements = TOLD if is_options else ELEMENTS
    fields = [(element, chance.choice(elements[element][0])) for element in
              (chance.choice(sorted(elements)) for _ in range(chance.randint(1, 12)))]
    if chance.random() < 0.5 and not is_options:
        fields += [(8, 4), (12, 4), (1, 4)]
    fields += [(9999, 4)]  # longer than any padding
    if version == IPFIX and chance.random() < 0.5:
        fields.insert(chance.randint(0, len(fields)), (chance.choice([1, 8, 48]), 4, 9))  # of an enterprise
    return is_options, [(chance.choice([1, 2] if version == V9 else [10, 143]), 4)] if is_options else [], fields


def a_record(chance, template):
    is_options, scopes, fields = template
    values = [chance.randint(0, NUMBER) for _ in scopes]
    for element, length, *_ in fields:
        largest = (TOLD if is_options else ELEMENTS).get(element, ((), NUMBER))[1]
        if length == VARIABLE:
            values.append(b"x" * chance.choice(STRINGS))
        else:
            values.append(chance.choice([0, chance.randint(0, largest), largest]) % 256**length)
    return netflow.record([*scopes, *fields], values)


def a_stream(chance, version, domain):
    """Datagrams of one domain, in their order."""
    if version == V5:
        records = [[chance.choice([0, chance.getrandbits(32)]) for _ in range(6)] for _ in range(chance.randint(0, 5))]
        return [netflow.v5(records, engine=domain, sampling=chance.getrandbits(16))]
    assigned, sent, sets = {}, set(), []
    for _ in range(chance.randint(1, 12)):
        number = chance.randint(256, 258)
        if number not in assigned:
            assigned[number] = a_template(chance, version)
        elif chance.randrange(4) == 0:  # another meaning: told before it is used; what was not told yet, is told before
            told = [] if number in sent else [assigned[number]]
            assigned[number] = a_template(chance, version)
            sets += [definition(version, number, each) for each in (*told, assigned[number])]
            sent.add(number)
        if chance.randrange(3) == 0:
            sent.add(number)
            sets.append(definition(version, number, assigned[number]))
        else:
            content = b"".join(a_record(chance, assigned[number]) for _ in range(chance.randint(0, 4)))
            sets.append(netflow.a_set(number, content, padding=chance.randint(0, 3)))
    datagrams = []
    while sets:
        count = chance.randint(1, 4)
        datagrams.append(netflow.message(version, *sets[:count], domain=domain))
        sets = sets[count:]
    return datagrams


def a_conversation(chance):
    """Datagrams as (source, bytes), of up to two exporters with domains of all versions, in any mixture."""
    streams = [
        [(source, each) for each in a_stream(chance, version, domain)]
        for source in ("192.0.2.1", "2001:db8::1") for version in (V5, V9, IPFIX) for domain in (0, 1)
        if chance.random() < 0.3
    ]
    told = []
    while streams := [each for each in streams if each]:
        told.append(chance.choice(streams).pop(0))
    return told


def definition(version, number, template):
    is_options, scopes, fields = template
    if is_options:
        return netflow.options_templates(version, (number, scopes, fields))
    return netflow.templates(version, (number, fields))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 2**64))
def test_what_is_decoded_is_what_was_sent(seed):
    chance = Random(seed)
    told = a_conversation(chance)
    referee = Referee()
    for source, datagram in told:
        referee.read(source, datagram)
    decoder, flows, counts = Decoder(), [], Counter()
    while told:
        count = chance.randint(1, len(told))
        decoded = decoder.decode(block([each for _, each in told[:count]], [source for source, _ in told[:count]]))
        flows += flows_of(decoded)
        for (_, what), many in decoded.counts.items():
            counts[what] += many
        told = told[count:]
    assert Counter(flows) == Counter(referee.flows)
    assert counts["records"] == len(flows)
    for what in ("records_without_bytes", "records_without_address"):
        assert counts[what] == referee.counts[what]
    assert not {"truncated", "malformed_sets", "malformed_records"} & set(counts)
