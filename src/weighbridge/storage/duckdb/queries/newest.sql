SELECT max(bucket) FROM ({rows})
