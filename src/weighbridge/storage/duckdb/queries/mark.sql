UPDATE mark SET position = $1, events = $2, bytes_in = $3, bytes_out = $4, requests = $5
