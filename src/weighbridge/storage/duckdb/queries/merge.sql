-- The rows of a stretch of one tier, one for each series and slot, in order.
CREATE OR REPLACE TEMP TABLE merged AS
SELECT series, slot, sum(bytes_in) AS bytes_in, sum(bytes_out) AS bytes_out, sum(requests) AS requests,
    bit_or(flags) AS flags
FROM {table}
WHERE slot >= {lo} AND slot < {hi} AND series >= {first_series} AND series <= {last_series}
GROUP BY series, slot
ORDER BY series, slot
