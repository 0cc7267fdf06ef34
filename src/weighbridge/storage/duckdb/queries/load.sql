-- Adds rows of one chunk to a tier, in its order. Flag 8: to be taken away.
INSERT INTO {table}
SELECT series, slot // {slots} AS tier_slot,
    sum(sign * nullif(bytes_in, -1)), sum(sign * nullif(bytes_out, -1)), sum(sign * nullif(requests, -1)), bit_or(flags & 247)
FROM (SELECT *, CASE WHEN flags & 8 = 0 THEN 1 ELSE -1 END AS sign FROM batch)
GROUP BY series, tier_slot
ORDER BY series, tier_slot
