-- Rows of one table that fall to the members, each with its own stretches of time in the slots of this table.
SELECT t.series, m.grp, {bucket} AS bucket, t.bytes_in, t.bytes_out, t.requests, t.flags
FROM {table} t JOIN members m ON m.series = t.series AND t.slot >= m.lo AND t.slot < m.hi
WHERE m.place = {place}
  AND t.slot >= {lo} AND t.slot < {hi} AND t.series BETWEEN {first_series} AND {last_series}
