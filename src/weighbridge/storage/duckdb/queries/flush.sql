-- Adds what is fresh to one tier, in the order of its chunks. Times that the tier has forgotten stay out.
INSERT INTO {table}
SELECT series, slot // {slots} AS tier_slot, sum(bytes_in), sum(bytes_out), sum(requests), bit_or(flags)
FROM fresh
WHERE slot >= {first_slot}
GROUP BY series, tier_slot
ORDER BY tier_slot // {chunk_slots}, series, tier_slot
