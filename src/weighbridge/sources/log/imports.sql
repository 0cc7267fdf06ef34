-- Which contents were imported, and how far. A content is known by its head and by the bytes before the offset.
-- What lies between the start and the offset is being sent: after an interruption the very same bytes are sent again.

CREATE TABLE IF NOT EXISTS imports (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,     -- of the file, for people
    start_bytes INTEGER NOT NULL,  -- everything before it has been answered
    read_bytes  INTEGER NOT NULL,  -- the offset, of what the file is uncompressed
    head        TEXT NOT NULL,     -- see marks.py
    tail        TEXT NOT NULL,
    lines       INTEGER NOT NULL,  -- up to the start
    header      TEXT NOT NULL,     -- the last header line up to the start, of formats that have them
    base_bytes  INTEGER NOT NULL,  -- where the chunk begins that the start lies in
    chain       TEXT NOT NULL      -- digest of everything up to there, chunk by chunk
) STRICT;

CREATE INDEX IF NOT EXISTS imports_by_head ON imports (head);
CREATE INDEX IF NOT EXISTS imports_by_length ON imports (read_bytes);
