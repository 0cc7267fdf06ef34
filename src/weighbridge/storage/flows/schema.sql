-- One UTC day of flow sums, in a file of its own, so that forgetting a day is deleting a file.

-- What was taken: each id once. Numbers grow and are never used twice.
CREATE TABLE IF NOT EXISTS batches (
    number       INTEGER PRIMARY KEY AUTOINCREMENT,
    id           TEXT NOT NULL UNIQUE,
    content      BLOB NOT NULL           -- digest: the same id with another content is refused
) STRICT;

-- Sums of one slot, exporter and reach of senders; several may speak of the same, and add up.
CREATE TABLE IF NOT EXISTS piles (
    slot         INTEGER NOT NULL,       -- seconds since the epoch // 300
    exporter     TEXT NOT NULL,
    organization TEXT,                   -- the senders' reach; NULL: every organization
    project      TEXT,                   -- NULL: every project of it
    batch        INTEGER,                -- NULL: of several batches, rewritten
    owned        BLOB,                   -- see codec.py; NULL: none
    loose        BLOB                    -- those that are unattributed
) STRICT;
CREATE INDEX IF NOT EXISTS piles_by_slot ON piles (slot, exporter);
CREATE INDEX IF NOT EXISTS piles_by_batch ON piles (batch) WHERE batch IS NOT NULL;

-- Up to which batch a correction has counted what was kept of a slot.
CREATE TABLE IF NOT EXISTS corrected (
    slot         INTEGER PRIMARY KEY,
    batch        INTEGER NOT NULL
) STRICT;
