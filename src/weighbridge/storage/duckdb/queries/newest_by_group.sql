-- The newest bucket of each group that has a row.
SELECT grp, max(bucket) FROM ({rows}) GROUP BY grp
