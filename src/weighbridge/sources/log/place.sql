-- Where a log was read to, and what of it has not been answered yet. One transaction moves both.

CREATE TABLE IF NOT EXISTS place (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    uuid       TEXT NOT NULL,     -- made once; events have the source log/UUID
    path       TEXT NOT NULL,     -- of the log, for people
    started_us INTEGER,           -- when the folder was seen first; files that were there then are not read
    sequence   INTEGER NOT NULL   -- of the next row of the outbox; never used twice
) STRICT;

CREATE TABLE IF NOT EXISTS files (
    number     INTEGER PRIMARY KEY AUTOINCREMENT,
    ident      TEXT,              -- device/inode, where the file was seen last; NULL if another file has it now, or compressed
    name       TEXT NOT NULL,     -- for people
    read_bytes INTEGER NOT NULL,  -- the offset, of what the file is uncompressed
    head       TEXT NOT NULL,     -- see marks.py
    tail       TEXT NOT NULL,
    lines      INTEGER NOT NULL,  -- up to the offset
    header     TEXT NOT NULL,     -- the last header line up to there, of formats that have them
    done       INTEGER NOT NULL   -- 1: another file has the log's name, and this one was read to its end
) STRICT;

-- Compressed files that are done with: they need not be decompressed again to be known.
CREATE TABLE IF NOT EXISTS packed (
    version    TEXT PRIMARY KEY   -- inode/size/time of the last change
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS outbox (
    sequence   INTEGER PRIMARY KEY,
    body       BLOB NOT NULL      -- as it is sent: events as JSON, gzip
) STRICT;

CREATE TABLE IF NOT EXISTS counts (
    what       TEXT PRIMARY KEY,
    amount     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
