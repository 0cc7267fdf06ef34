-- What the day tier is about to forget, into the ledger.
INSERT INTO ledger
SELECT 'retired', coalesce(sum(bytes_in), 0), coalesce(sum(bytes_out), 0), coalesce(sum(requests), 0)
FROM t1d
WHERE slot < {before_slot}
HAVING count(*) > 0
