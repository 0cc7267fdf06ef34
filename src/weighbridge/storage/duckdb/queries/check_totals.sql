-- What the sums hold, what the journal's mark says, what was loaded beside it and what was retired.
WITH held AS (
    SELECT bytes_in, bytes_out, requests FROM t1d UNION ALL SELECT bytes_in, bytes_out, requests FROM fresh
)
SELECT 'held', coalesce(sum(bytes_in), 0), coalesce(sum(bytes_out), 0), coalesce(sum(requests), 0) FROM held
UNION ALL
SELECT 'mark', bytes_in, bytes_out, requests FROM mark
UNION ALL
SELECT entry, sum(bytes_in), sum(bytes_out), sum(requests) FROM ledger GROUP BY entry
