-- Rows of a stretch by series, to cut a large rewrite into parts.
SELECT series, count(*) AS row_count FROM {table} WHERE slot >= {lo} AND slot < {hi} GROUP BY series ORDER BY series
