-- Sums of 5 minutes below zero: how many, and the first of them. Only where a part is below zero can a sum be.
WITH parts AS (
    SELECT series, slot, bytes_in, bytes_out, requests FROM t5m UNION ALL
    SELECT series, slot, bytes_in, bytes_out, requests FROM fresh
), suspects AS (
    SELECT DISTINCT series, slot FROM parts WHERE bytes_in < 0 OR bytes_out < 0 OR requests < 0
), held AS (
    SELECT series, slot FROM parts SEMI JOIN suspects USING (series, slot)
    GROUP BY series, slot
    HAVING sum(bytes_in) < 0 OR sum(bytes_out) < 0 OR sum(requests) < 0
)
SELECT count(*), first(series ORDER BY slot, series), min(slot) FROM held
