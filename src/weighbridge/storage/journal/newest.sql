-- The highest of the newest row and the floor: where positions and totals go on.
SELECT position, events_total, ids_total, bytes_in_total, bytes_out_total, requests_total FROM (
    SELECT * FROM (
        SELECT position, events_total, ids_total, bytes_in_total, bytes_out_total, requests_total
        FROM rows ORDER BY position DESC LIMIT 1
    )
    UNION ALL
    SELECT position, events_total, ids_total, bytes_in_total, bytes_out_total, requests_total FROM floor
)
ORDER BY position DESC LIMIT 1
