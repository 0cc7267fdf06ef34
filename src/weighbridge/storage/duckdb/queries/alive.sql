SELECT count(*) FROM (SELECT DISTINCT series, bucket FROM ({rows}) WHERE flags & 1 = 1)
