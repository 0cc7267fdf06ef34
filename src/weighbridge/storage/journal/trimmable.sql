-- The last of the oldest rows that one transaction deletes: up to position ?, at most ? of them.
SELECT max(position) FROM (SELECT position FROM rows WHERE position <= ? ORDER BY position LIMIT ?)
