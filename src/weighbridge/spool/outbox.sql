-- What an agent collected and no server has answered yet.

CREATE TABLE IF NOT EXISTS state (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    next       INTEGER NOT NULL,  -- number of the next body; never used twice
    delivered  INTEGER NOT NULL   -- how many were answered so far
) STRICT;

CREATE TABLE IF NOT EXISTS bodies (
    number     INTEGER PRIMARY KEY,
    body       BLOB NOT NULL      -- as it is sent: spool/wire.py, gzip
) STRICT;
