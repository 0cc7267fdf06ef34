-- The journal: batches in the order of their commits, newest readings of counters, and what trimming must not forget.
-- Totals are of everything ever appended up to and including the row; bytes and requests outgrow 64 bits, so they are text.

CREATE TABLE IF NOT EXISTS rows (
    position        INTEGER PRIMARY KEY,  -- grows, is never used twice, may have gaps (see `gaps`)
    events          INTEGER NOT NULL,
    events_total    INTEGER NOT NULL,
    ids_total       INTEGER NOT NULL,     -- event ids settled in the index
    bytes_in_total  TEXT NOT NULL,
    bytes_out_total TEXT NOT NULL,
    requests_total  TEXT NOT NULL,
    measurements    BLOB NOT NULL         -- see codec.py
) STRICT;

-- One row: where the chain of totals goes on when the rows before are trimmed, or were never here.
CREATE TABLE IF NOT EXISTS floor (
    one             INTEGER PRIMARY KEY CHECK (one = 1),
    position        INTEGER NOT NULL,
    events_total    INTEGER NOT NULL,
    ids_total       INTEGER NOT NULL,
    bytes_in_total  TEXT NOT NULL,
    bytes_out_total TEXT NOT NULL,
    requests_total  TEXT NOT NULL,
    trimmed         INTEGER NOT NULL      -- highest position whose row was deleted; the index covers it
) STRICT;

-- Positions after `after_position` up to `until_position` were acknowledged once and are not in this journal.
CREATE TABLE IF NOT EXISTS gaps (
    until_position  INTEGER PRIMARY KEY,
    after_position  INTEGER NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS counters (
    organization    TEXT NOT NULL,
    subject         TEXT NOT NULL,
    source          TEXT NOT NULL,
    counter         TEXT NOT NULL,
    state           BLOB NOT NULL,        -- ports.CounterState as MessagePack
    PRIMARY KEY (organization, subject, source, counter)
) STRICT, WITHOUT ROWID;

-- Counters that were too old at the last look, with their states then: those that nobody moved until the next look go.
CREATE TABLE IF NOT EXISTS stale_counters (
    organization    TEXT NOT NULL,
    subject         TEXT NOT NULL,
    source          TEXT NOT NULL,
    counter         TEXT NOT NULL,
    state           BLOB NOT NULL,
    PRIMARY KEY (organization, subject, source, counter)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO floor VALUES (1, 0, 0, 0, '0', '0', '0', 0);
