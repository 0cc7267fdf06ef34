-- Rows of one table that fall to the members, all of which share one stretch of time.
SELECT t.series, {group} AS grp, {bucket} AS bucket, t.bytes_in, t.bytes_out, t.requests, t.flags
FROM {table} t {join}
WHERE t.slot >= {lo} AND t.slot < {hi} AND t.series BETWEEN {first_series} AND {last_series}
