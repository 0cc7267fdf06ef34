INSERT INTO {table} SELECT * FROM merged
