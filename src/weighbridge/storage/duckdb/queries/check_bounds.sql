-- First and last slot of a tier or its finer one, in slots of the coarser.
SELECT min(slot), max(slot)
FROM (SELECT slot FROM {coarse} UNION ALL SELECT slot // {slots} FROM {fine})
