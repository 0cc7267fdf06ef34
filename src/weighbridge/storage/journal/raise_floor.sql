-- The floor becomes the newest row up to ?, unless it lies higher already.
UPDATE floor
SET position = newest.position,
    events_total = newest.events_total,
    ids_total = newest.ids_total,
    bytes_in_total = newest.bytes_in_total,
    bytes_out_total = newest.bytes_out_total,
    requests_total = newest.requests_total
FROM (SELECT * FROM rows WHERE position <= ? ORDER BY position DESC LIMIT 1) AS newest
WHERE newest.position > floor.position
