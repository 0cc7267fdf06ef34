-- Notes what that flush appends: an upper bound of its rows by piece.
INSERT INTO dirty
SELECT {tier_s}, piece, count(*) FROM (
    SELECT DISTINCT series, slot // {slots} AS tier_slot, slot // {slots} // {piece_slots} AS piece
    FROM fresh
    WHERE slot >= {first_slot}
)
GROUP BY piece
