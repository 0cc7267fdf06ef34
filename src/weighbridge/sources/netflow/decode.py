"""NetFlow 5, NetFlow 9 and IPFIX, a block of datagrams at a time: records become flow blocks.

What was said before holds for what comes after, to the datagram: a template that changes within a block changes what stands
behind it and nothing else. Templates outlive a restart of their exporter: it tells them anew before it uses them, and
dropping them would lose what comes in between; until then data that do not fit them wait instead of being misread.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from weighbridge.metering.flows.block import FlowBlock
from weighbridge.sources.netflow.egress import Twins
from weighbridge.sources.netflow.flows import (
    EGRESS,
    is_absurd,
    lacks,
    read_flows,
    timed_by_uptime,
    was_dropped,
)
from weighbridge.sources.netflow.held import Held, HeldSet
from weighbridge.sources.netflow.layout import cut_records
from weighbridge.sources.netflow.portion import (
    Group,
    Portion,
    before,
    bounds,
    by_stream,
    codes,
    fit,
    held_portion,
    moments,
    runs,
    stream_and_set,
)
from weighbridge.sources.netflow.rates import News, rates_of
from weighbridge.sources.netflow.scan import V5, V5_SET, Heads, Sets, find_sets, read_heads
from weighbridge.sources.netflow.sequence import NUMBERS, follow, has_restarted
from weighbridge.sources.netflow.streams import Key, Streams
from weighbridge.sources.netflow.templates import (
    FIRST_DATA_SET,
    IPFIX,
    OPTIONS_SETS,
    TEMPLATE_SETS,
    V9,
    Fault,
    Template,
    make_template,
    read_templates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from weighbridge.collected import CounterReading
    from weighbridge.datagrams.block import Datagrams
    from weighbridge.sources.netflow.egress import Egress
    from weighbridge.sources.netflow.flows import Flows
    from weighbridge.sources.netflow.layout import Cut, Layout
    from weighbridge.sources.netflow.scan import Faults
    from weighbridge.sources.netflow.streams import Stream

LOST: Final = {V5: "lost_flows", V9: "lost_datagrams", IPFIX: "lost_flows"}
"""What a gap in the sequence numbers counts: version 9 numbers datagrams, the others records."""

_V5_TEMPLATE: Final = make_template(
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (0, 16),  # the rest: ports, flags, masks
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a block says. `counts`: (exporter, what) → how many; docs/netflow.md says what the words mean."""

    flows: list[FlowBlock]
    counts: Counter[tuple[str, str]]
    readings: tuple[CounterReading, ...] = ()  # flow protocols that tell counters have some


class Decoder:
    """Decodes blocks, remembering exporters between them. Never raises for what a datagram holds.

    Streams and twins are what is worth keeping over a restart (kept.py).
    """

    def __init__(self, egress: Egress = "auto") -> None:
        self.streams = Streams()
        self._egress = egress
        self.twins = Twins()
        self._changes = 0
        self._held = Held()
        self._flows: list[FlowBlock] = []
        self._counts: Counter[tuple[str, str]] = Counter()

    @property
    def changes(self) -> int:
        """Grows whenever something changed that is worth keeping."""
        return self._changes + self.twins.changes

    def decode(self, block: Datagrams) -> Decoded:
        """All that whole records say; the rest is counted."""
        heads, faults = read_heads(block)
        portion = self._portion(block, heads, find_sets(block, heads, faults))
        restarted = self._note_restarts(portion, heads)
        self._take(portion)
        self._follow(portion, heads, restarted)
        return self._told(block, faults)

    def _portion(self, block: Datagrams, heads: Heads, sets: Sets) -> Portion:
        count = len(block.starts)
        names = list(dict.fromkeys(block.sources))
        numbers = {name: number for number, name in enumerate(names)}
        exporter = np.array([numbers[source] for source in block.sources] if len(names) > 1 else [0], np.int64)
        code = np.where(heads.version == 0, -1, (exporter << 36) | (heads.version << 32) | heads.domain)
        is_one = len(names) == 1 and bool((code == code[0]).all())
        different, place = (code[:1], np.zeros(count, np.int64)) if is_one else np.unique(code, return_inverse=True)
        keys = [Key(names[each >> 36], each >> 32 & 0xF, each & 0xFFFFFFFF) for each in different.tolist() if each >= 0]
        streams = [self.streams.heard_of(key) for key in keys]
        unknown = len(different) - len(streams)  # 1 if there is a code of -1, which comes first
        return Portion(
            block.octets, block.received_us, sets, streams, place - unknown, heads.export_us, heads.uptime_ms, heads.rate,
            np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, bool),
        )

    def _told(self, block: Datagrams, faults: Faults) -> Decoded:
        self._held.expire(block.received_us)
        counts = self._counts
        for source, many in Counter(block.sources).items():
            counts[source, "datagrams"] += many
        for (datagram, what), many in faults.items():
            counts[block.sources[datagram], what] += many
        for exporter, many in self._held.dropped.items():
            counts[exporter, "sets_without_template"] += many
        self._held.dropped.clear()
        decoded = Decoded(self._flows, +counts)
        self._flows, self._counts = [], Counter()
        return decoded

    # Restarts and numbers

    def _note_restarts(self, portion: Portion, heads: Heads) -> set[int]:
        """The datagrams whose exporter has restarted since the one before, as its uptime tells."""
        found: set[int] = set()
        for stream, datagrams in by_stream(portion):
            uptime_ms, export_us = heads.uptime_ms[datagrams], heads.export_us[datagrams]
            if stream.uptime_ms <= uptime_ms[0] and (uptime_ms[:-1] <= uptime_ms[1:]).all():
                stream.uptime_ms, stream.export_us = int(uptime_ms[-1]), int(export_us[-1])
                continue
            for datagram, *told in zip(datagrams.tolist(), uptime_ms.tolist(), export_us.tolist(), strict=True):
                if has_restarted(stream, *told):
                    self._doubt(stream)
                    found.add(datagram)
        return found

    def _doubt(self, stream: Stream) -> None:
        self._counts[stream.key.exporter, "restarts"] += 1
        stream.doubt()

    def _follow(self, portion: Portion, heads: Heads, restarted: set[int]) -> None:
        """Numbers are followed: what is missing is counted."""
        for stream, datagrams in by_stream(portion):
            sequence = heads.sequence[datagrams]
            steps = _steps(stream.key.version, portion, heads, datagrams)
            is_told = not restarted and not portion.untold[datagrams].any()
            if is_told and stream.expected in (None, sequence[0]) and _is_gapless(sequence, steps):
                stream.steps = _ways(stream, portion, int(datagrams[-1]), int(steps[-1]))
                stream.expected = int(sequence[-1] + steps[-1]) % NUMBERS
                continue
            for number, datagram in enumerate(datagrams.tolist()):
                if datagram in restarted:
                    stream.expected = None
                ways = _ways(stream, portion, datagram, int(steps[number]))
                what, many = follow(stream, int(sequence[number]), ways)
                if what == "restarts":
                    self._doubt(stream)
                elif what:
                    self._counts[stream.key.exporter, LOST[stream.key.version] if what == "lost" else what] += many
                if portion.untold[datagram]:
                    stream.expected = None

    # Sets in their order

    def _take(self, portion: Portion) -> None:
        """All sets are decoded, each by the templates and rates that stood at its place."""
        sets = portion.sets
        waiting = sets.id >= FIRST_DATA_SET
        if not waiting.all():
            for row in np.flatnonzero(~waiting).tolist():
                self._take_control(portion, row, waiting)
        self._data(portion, np.flatnonzero(waiting))

    def _take_control(self, portion: Portion, row: int, waiting: np.ndarray) -> None:
        set_id = int(portion.sets.id[row])
        place = int(portion.place[portion.sets.datagram[row]])
        stream = portion.streams[place]
        exporter, version, _ = stream.key
        if set_id not in TEMPLATE_SETS[version]:
            self._counts[exporter, "unknown_sets"] += 1
            return
        data = portion.octets[portion.sets.start[row] : portion.sets.end[row]].tobytes()
        is_first = True
        for each in read_templates(version, set_id, data):
            if isinstance(each, Fault):
                self._counts[exporter, each.what] += 1
                continue
            for template_id in _meant(stream, set_id, each.id):
                if is_first and stream.templates.get(template_id) != each.template:
                    is_first = False
                    self._data(portion, before(portion, row, place, waiting))
                self._define(stream, template_id, each.template)

    def _define(self, stream: Stream, template_id: int, template: Template | None) -> None:
        """The template stands from here on, or is withdrawn; what waited for it is decoded."""
        if template is None:
            self._changes += template_id in stream.templates
            stream.forget(template_id)
            self.streams.weigh(stream)
            return
        if stream.templates.get(template_id) != template:
            if not stream.define(template_id, template):
                self._counts[stream.key.exporter, "too_many_templates"] += 1
                return
            self.streams.weigh(stream)
            self._changes += 1
        stream.doubted.discard(template_id)
        self._release(stream, template_id)

    def _release(self, stream: Stream, set_id: int) -> None:
        held = self._held.take(stream.key, set_id)
        while held:
            received_us = held[0].received_us
            count = next((at for at, each in enumerate(held) if each.received_us != received_us), len(held))
            portion = held_portion(stream, set_id, held[:count])
            self._data(portion, np.arange(count))
            held = held[count:]

    def _hold(self, portion: Portion, stream: Stream, rows: np.ndarray) -> None:
        sets = portion.sets
        for row in rows.tolist():
            datagram = sets.datagram[row]
            content = portion.octets[sets.start[row] : sets.end[row]].tobytes()
            times = int(portion.export_us[datagram]), int(portion.uptime_ms[datagram])
            self._held.put(stream.key, int(sets.id[row]), HeldSet(content, *times, portion.received_us))
            portion.untold[datagram] = True

    # Data

    def _data(self, portion: Portion, rows: np.ndarray) -> None:
        """These data sets are decoded; no template changes between them, but rates may."""
        groups, options = self._grouped(portion, rows)
        for row, template in sorted(options, key=lambda each: each[0]):
            place = int(portion.place[portion.sets.datagram[row]])
            stream = portion.streams[place]
            news = self._read_options(portion, row, template)
            if not news.changes(stream):
                continue
            earlier = [Group(each.layout, each.stream, each.rows[each.rows < row], each.is_v5) for each in groups
                      if each.stream is stream]
            self._decode(portion, [each for each in earlier if len(each.rows)])
            for each in groups:
                if each.stream is stream:
                    each.rows = each.rows[each.rows > row]
            groups = [each for each in groups if len(each.rows)]
            self._counts[stream.key.exporter, "too_many_rates"] += news.tell(stream)
            self.streams.weigh(stream)
            self._changes += 1
        self._decode(portion, groups)

    def _grouped(self, portion: Portion, rows: np.ndarray) -> tuple[list[Group], list[tuple[int, Template]]]:
        """Rows of flows by stream and layout, and each row of options. What has no template is held."""
        groups: list[Group] = []
        options: list[tuple[int, Template]] = []
        for whose, found in runs(codes(portion, rows), rows):
            stream, set_id = stream_and_set(portion, whose)
            run = found
            template = _V5_TEMPLATE if set_id == V5_SET else stream.templates.get(set_id)
            if template is None:
                self._hold(portion, stream, run)
                continue
            if set_id in stream.doubted:
                fits = fit(template.layout, portion.sets, run)
                self._hold(portion, stream, run[~fits])
                run = run[fits]
            if template.is_options:
                options.extend((row, template) for row in run.tolist())
            elif len(run):
                groups.append(Group(template.layout, stream, run, set_id == V5_SET))
        return groups, options

    def _read_options(self, portion: Portion, row: int, template: Template) -> News:
        datagram = portion.sets.datagram[row]
        cut = self._cut(portion, template.layout, np.array([row]), portion.streams[portion.place[datagram]])
        portion.options[datagram] += len(cut.records)
        return News(template.layout, cut.records)

    def _cut(self, portion: Portion, layout: Layout, rows: np.ndarray, stream: Stream) -> Cut:
        sets = portion.sets
        cut = cut_records(layout, portion.octets, sets.start[rows], sets.end[rows])
        if cut.broken:
            self._counts[stream.key.exporter, "malformed_records"] += cut.broken
        np.add.at(portion.records, sets.datagram[rows], cut.counts)
        return cut

    def _decode(self, portion: Portion, groups: Iterable[Group]) -> None:
        """Sets of flows are decoded, all of one layout at once, whoever sent them."""
        by_layout: dict[int, list[Group]] = {}
        for each in groups:
            by_layout.setdefault(id(each.layout), []).append(each)
        for alike in by_layout.values():
            self._decode_alike(portion, alike)

    def _decode_alike(self, portion: Portion, groups: list[Group]) -> None:
        layout = groups[0].layout
        rows = np.concatenate([each.rows for each in groups]) if len(groups) > 1 else groups[0].rows
        cut = self._cut(portion, layout, rows, groups[0].stream)
        parts = bounds(groups, cut.counts)
        lacking = lacks(layout)
        if lacking:
            for each, (start, end) in zip(groups, parts, strict=True):
                self._counts[each.stream.key.exporter, lacking] += end - start
            return
        datagrams = portion.sets.datagram[rows]
        flows = read_flows(layout, cut.records, lambda: moments(portion, groups, datagrams, cut.counts))
        if groups[0].is_v5 and portion.rate[datagrams].any():
            flows.rate = np.repeat(portion.rate[datagrams], cut.counts)
        unfit = {"absurd_amounts": is_absurd(flows)}
        dropped = was_dropped(layout, cut.records)
        if dropped is not None:
            unfit["not_forwarded"] = dropped & ~unfit["absurd_amounts"]
        unfit = {what: mask for what, mask in unfit.items() if mask.any()}
        by_uptime = timed_by_uptime(layout)
        for each, (start, end) in zip(groups, parts, strict=True):
            part = flows if len(groups) == 1 else flows.only(slice(start, end))
            keep = np.ones(end - start, bool)
            for what, mask in unfit.items():
                self._counts[each.stream.key.exporter, what] += int(mask[start:end].sum())
                keep &= ~mask[start:end]
            part = part.only(keep) if unfit else part
            if each.stream.key.version == IPFIX and each.stream.boot_us is None:
                part = part.without(by_uptime)
            self._tell(part, each.stream, portion.received_us)

    def _tell(self, flows: Flows, stream: Stream, received_us: int) -> None:
        """The flows are in blocks, once each."""
        exporter = stream.key.exporter
        left = flows
        if self._egress == "auto":
            left = self.twins.leave_out(exporter, flows, received_us)
        elif self._egress == "ignore" and flows.direction is not None:
            left = flows.only(flows.direction != EGRESS)
        self._counts[exporter, "egress_left_out"] += len(flows) - len(left)
        parts = [left] if left.reverse_octets is None else [left, left.reversed()]
        for part in parts:
            self._counts[exporter, "records"] += len(part)
            self._flows.extend(_blocks(part, stream, received_us))


def _blocks(flows: Flows, stream: Stream, received_us: int) -> Iterator[FlowBlock]:
    if flows.is_six is not None and len(flows):
        for six in (False, True):
            part = flows.only(flows.is_six == six)
            part.is_six = None
            if six:
                part.src4 = part.dst4 = None
            else:
                part.src6 = part.dst6 = None
            yield from _blocks(part, stream, received_us)
        return
    if not len(flows):
        return
    family, src, dst = 4, flows.src4, flows.dst4
    if src is None or dst is None:
        family, src, dst = 6, flows.src6, flows.dst6
    if src is None or dst is None:  # only MACs or VLANs were told
        src = dst = np.zeros((len(flows), 2), np.uint64)
    yield FlowBlock(
        stream.key.exporter, family, received_us, src, dst, flows.octets, flows.packets, flows.start_us, flows.end_us,
        rates_of(flows, stream), flows.src_mac, flows.dst_mac, flows.src_vlan, flows.dst_vlan,
    )


def _steps(version: int, portion: Portion, heads: Heads, datagrams: np.ndarray) -> np.ndarray:
    """By how much each datagram moves its stream's numbers: by one, or by its records."""
    if version == V9:
        return np.ones(len(datagrams), np.int64)
    return np.take(heads.records if version == V5 else portion.records, datagrams)


def _ways(stream: Stream, portion: Portion, datagram: int, step: int) -> tuple[int, ...]:
    """By how much a datagram may move its stream's numbers, with what tells of options and without."""
    return (step, step - int(portion.options[datagram])) if stream.key.version == IPFIX else (step,)


def _meant(stream: Stream, set_id: int, template_id: int) -> list[int]:
    """The templates that a definition or withdrawal is of; an id below 256 means all of its kind."""
    if template_id >= FIRST_DATA_SET:
        return [template_id]
    is_options = set_id in OPTIONS_SETS
    return [number for number, template in stream.templates.items() if template.is_options == is_options]


def _is_gapless(sequence: np.ndarray, steps: np.ndarray) -> bool:
    return not ((sequence[:-1] + steps[:-1] - sequence[1:]) % NUMBERS).any()
