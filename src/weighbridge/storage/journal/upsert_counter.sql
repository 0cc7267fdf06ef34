INSERT INTO counters (organization, subject, source, counter, state)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (organization, subject, source, counter) DO UPDATE SET state = excluded.state
