-- A page of memories, newest first, equal times by ascending id.
--
-- $1 $2   created_at and id of the last memory of the page before; null: the first page
-- $3      how many at most
-- $4 …    the filter, as in search.sql; its sessions come last
SELECT
  n.id, n.content, n.node_type, n.tags, n.metadata, n.domains,
  n.domain_scores AS "domain_scores: _",
  n.embedding::real[] AS embedding,
  n.codebase, n.owner_user_id, n.visibility, n.shared_with_groups, n.created_at, n.updated_at, n.session
FROM knowledge_nodes AS n
WHERE
  -- Two conditions for one place: the first is what an index can use.
  ($1::timestamptz IS NULL OR n.created_at <= $1)
  AND ($1::timestamptz IS NULL OR n.created_at < $1 OR n.id > $2::uuid)
  AND ($4::text[] IS NULL OR n.domains && $4)
  AND ($5::text[] IS NULL OR n.tags && $5)
  AND ($6::text[] IS NULL OR n.node_type = ANY ($6))
  AND ($7::text[] IS NULL OR n.codebase = ANY ($7))
  AND ($12::text[] IS NULL OR n.session = ANY ($12))
  AND ($8::timestamptz IS NULL OR n.created_at >= $8)
  AND ($9::timestamptz IS NULL OR n.created_at < $9)
  AND ($11::float8 IS NULL OR NOT EXISTS (
    SELECT FROM scheduling AS s
    WHERE s.memory_id = n.id
      AND (extract(epoch FROM $10::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
        > s.stability * $11
  ))
ORDER BY n.created_at DESC, n.id
LIMIT $3
