-- Like fold.sql, where some rows have the flag 8: their amounts are to be taken away, so they stand below zero here.
INSERT INTO fresh
SELECT series, slot,
    sign * nullif(bytes_in, -1), sign * nullif(bytes_out, -1), sign * nullif(requests, -1), flags & 247
FROM (SELECT *, CASE WHEN flags & 8 = 0 THEN 1 ELSE -1 END AS sign FROM batch)
