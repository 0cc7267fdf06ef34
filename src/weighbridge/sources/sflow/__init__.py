"""sFlow version 5: sampled packets, and the counters of an agent's ports."""
