INSERT INTO fresh
SELECT series, slot, nullif(bytes_in, -1), nullif(bytes_out, -1), nullif(requests, -1), flags FROM batch
