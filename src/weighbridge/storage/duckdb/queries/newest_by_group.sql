-- The newest bucket of each group that has a row; of rows that meet the condition, where there is one.
SELECT grp, max(bucket) FROM ({rows}) {condition} GROUP BY grp
