-- How many memories the server expects a filter to let through.
EXPLAIN (FORMAT JSON)
SELECT
FROM knowledge_nodes AS n
WHERE
  n.embedding IS NOT NULL
  AND ($1::text[] IS NULL OR n.domains && $1)
  AND ($2::text[] IS NULL OR n.tags && $2)
  AND ($3::text[] IS NULL OR n.node_type = ANY ($3))
  AND ($4::text[] IS NULL OR n.codebase = ANY ($4))
  AND ($9::text[] IS NULL OR n.session = ANY ($9))
  AND ($5::timestamptz IS NULL OR n.created_at >= $5)
  AND ($6::timestamptz IS NULL OR n.created_at < $6)
  AND ($8::float8 IS NULL OR NOT EXISTS (
    SELECT FROM scheduling AS s
    WHERE s.memory_id = n.id
      AND (extract(epoch FROM $7::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
        > s.stability * $8
  ))
