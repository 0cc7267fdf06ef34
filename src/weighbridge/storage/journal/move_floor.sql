UPDATE floor
SET position = ?, events_total = ?, ids_total = ?, bytes_in_total = ?, bytes_out_total = ?, requests_total = ?
