-- Sums per series and slot. Amounts are bytes or requests; NULL is an amount that nobody knows, which is not zero.
-- HUGEINT, because one row may hold 2^62 and many rows make one slot: sums stay exact however large.
-- Slots are numbered in the tier's own unit since the Unix epoch: seconds // 300, // 1800, // 86400.
-- No keys and no indexes: several rows of one slot add up (queries sum, compaction merges), and the order of the rows
-- on disk (chunk of time, series, slot) is what makes questions fast.

CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (1);

-- Folded lately, one row as it came; moved to the tiers by each flush.
CREATE TABLE fresh (
    series UINTEGER NOT NULL, slot INTEGER NOT NULL,
    bytes_in BIGINT, bytes_out BIGINT, requests BIGINT, flags UTINYINT NOT NULL
);

CREATE TABLE t5m (
    series UINTEGER NOT NULL, slot INTEGER NOT NULL,
    bytes_in HUGEINT, bytes_out HUGEINT, requests HUGEINT, flags UTINYINT NOT NULL
);
CREATE TABLE t30m (
    series UINTEGER NOT NULL, slot INTEGER NOT NULL,
    bytes_in HUGEINT, bytes_out HUGEINT, requests HUGEINT, flags UTINYINT NOT NULL
);
CREATE TABLE t1d (
    series UINTEGER NOT NULL, slot INTEGER NOT NULL,
    bytes_in HUGEINT, bytes_out HUGEINT, requests HUGEINT, flags UTINYINT NOT NULL
);

-- One row. Position and control totals of the journal's mark, written in the transaction of each fold.
CREATE TABLE mark (
    position BIGINT NOT NULL,
    events HUGEINT NOT NULL, bytes_in HUGEINT NOT NULL, bytes_out HUGEINT NOT NULL, requests HUGEINT NOT NULL
);
INSERT INTO mark VALUES (0, 0, 0, 0, 0);

-- What else came in and went out, appended: 'loaded' without a journal, 'retired' with the day tier.
CREATE TABLE ledger (
    entry VARCHAR NOT NULL,
    bytes_in HUGEINT NOT NULL, bytes_out HUGEINT NOT NULL, requests HUGEINT NOT NULL
);

-- Before which instant a tier has forgotten its rows (epoch seconds).
CREATE TABLE horizon (tier_s INTEGER NOT NULL, before_s BIGINT NOT NULL);
INSERT INTO horizon VALUES (300, 0), (1800, 0), (86400, 0);

-- Partial rows that flushes appended to a piece of a tier since it was last rewritten. 0: merged, yet to be sorted.
CREATE TABLE dirty (tier_s INTEGER NOT NULL, piece INTEGER NOT NULL, partial_rows BIGINT NOT NULL);
