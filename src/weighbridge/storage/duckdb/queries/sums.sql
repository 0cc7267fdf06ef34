-- Sums by group and bucket. Each amount comes in two halves of 62 bits, since 128 bits have no NumPy type; -1: unknown.
SELECT
    {keys},
    coalesce((i & 4611686018427387903)::BIGINT, -1) AS in_low, coalesce((i >> 62)::BIGINT, 0) AS in_high,
    coalesce((o & 4611686018427387903)::BIGINT, -1) AS out_low, coalesce((o >> 62)::BIGINT, 0) AS out_high,
    coalesce((r & 4611686018427387903)::BIGINT, -1) AS requests_low, coalesce((r >> 62)::BIGINT, 0) AS requests_high,
    flags
FROM (
    SELECT {keys}, sum(bytes_in) AS i, sum(bytes_out) AS o, sum(requests) AS r, bit_or(flags) AS flags
    FROM ({rows})
    GROUP BY {keys}
)
