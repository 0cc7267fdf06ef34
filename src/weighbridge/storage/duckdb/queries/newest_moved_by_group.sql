-- The newest bucket of each group in which a series has moved something. A correction may take away what a row before it
-- added, so rows are added up first.
SELECT grp, max(bucket) FROM (
    SELECT grp, bucket FROM ({rows})
    GROUP BY grp, series, bucket
    HAVING sum(bytes_in) > 0 OR sum(bytes_out) > 0 OR sum(requests) > 0
)
GROUP BY grp
