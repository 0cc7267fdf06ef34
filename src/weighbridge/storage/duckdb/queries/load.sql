-- Adds rows of one chunk to a tier, in its order.
INSERT INTO {table}
SELECT series, slot // {slots} AS tier_slot,
    sum(nullif(bytes_in, -1)), sum(nullif(bytes_out, -1)), sum(nullif(requests, -1)), bit_or(flags)
FROM batch
GROUP BY series, tier_slot
ORDER BY series, tier_slot
