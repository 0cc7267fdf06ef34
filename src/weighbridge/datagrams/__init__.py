"""UDP as collectors need it: many datagrams at once, whose they are, and how many were lost on the way."""
