-- What the folder holds: days.sqlite.

-- From which instant on all that was ever taken is kept. Raised before files of days are deleted, never lowered.
CREATE TABLE IF NOT EXISTS kept (
    one          INTEGER PRIMARY KEY CHECK (one = 1),
    since_s      INTEGER NOT NULL
) STRICT;

-- Days (seconds since the epoch // 86400) that have a file with something in it. Entered before anything is written there.
CREATE TABLE IF NOT EXISTS days (day INTEGER PRIMARY KEY) STRICT;
