-- Distinct series and buckets with a measured row, however long the range.
SELECT count(*) FROM (SELECT DISTINCT series, bucket FROM ({rows}) WHERE flags & 1 = 1)
