-- Slots of a tier in which it and the sums of its finer tier differ: how many, and the first of them.
WITH coarse AS (
    SELECT series, slot, sum(bytes_in) AS i, sum(bytes_out) AS o, sum(requests) AS r, bit_or(flags) AS f
    FROM {coarse}
    WHERE slot >= {lo} AND slot < {hi}
    GROUP BY series, slot
), fine AS (
    SELECT series, slot // {slots} AS slot, sum(bytes_in) AS i, sum(bytes_out) AS o, sum(requests) AS r, bit_or(flags) AS f
    FROM {fine}
    WHERE slot >= {lo} * {slots} AND slot < {hi} * {slots}
    GROUP BY ALL
)
SELECT count(*), first(series ORDER BY slot, series), min(slot),
    first(i1 ORDER BY slot, series), first(i2 ORDER BY slot, series),
    first(o1 ORDER BY slot, series), first(o2 ORDER BY slot, series),
    first(r1 ORDER BY slot, series), first(r2 ORDER BY slot, series)
FROM (
    SELECT series, slot, coarse.i AS i1, fine.i AS i2, coarse.o AS o1, fine.o AS o2, coarse.r AS r1, fine.r AS r2
    FROM coarse FULL OUTER JOIN fine USING (series, slot)
    WHERE coarse.i IS DISTINCT FROM fine.i OR coarse.o IS DISTINCT FROM fine.o OR coarse.r IS DISTINCT FROM fine.r
        OR coarse.f IS DISTINCT FROM fine.f
)
