-- The memories around others in their sessions that may be found: the two before each and the two after it.
--
-- $1      ids of the memories
-- $2      phrases and exclusions as a tsquery, for memories of one passage; null: none
-- $3 …    the filter, as in search.sql; its sessions come last
-- $11 $12 each phrase as a tsquery; what is excluded as one; null: nothing
SELECT
  lender.id AS "lender!",
  -- From 1, the nearest first; below 0 for those before.
  n.place AS "place!",
  n.id AS "id!",
  n.created_at AS "created_at!"
FROM unnest($1::uuid[]) AS asked (id)
JOIN knowledge_nodes AS lender USING (id)
CROSS JOIN LATERAL (
  (
    SELECT
      before.id, before.created_at, before.domains, before.tags, before.node_type, before.codebase, before.session,
      before.search_vec, before.passages,
      -row_number() OVER (ORDER BY before.created_at DESC, before.id DESC) AS place
    FROM knowledge_nodes AS before
    WHERE before.session = lender.session AND (before.created_at, before.id) < (lender.created_at, lender.id)
    ORDER BY before.created_at DESC, before.id DESC
    LIMIT 2
  )
  UNION ALL
  (
    SELECT
      after.id, after.created_at, after.domains, after.tags, after.node_type, after.codebase, after.session,
      after.search_vec, after.passages,
      row_number() OVER (ORDER BY after.created_at, after.id) AS place
    FROM knowledge_nodes AS after
    WHERE after.session = lender.session AND (after.created_at, after.id) > (lender.created_at, lender.id)
    ORDER BY after.created_at, after.id
    LIMIT 2
  )
) AS n
WHERE ($2::text IS NULL OR CASE
    WHEN n.passages = 0 THEN n.search_vec @@ $2::text::tsquery
    ELSE
      NOT EXISTS (
        SELECT FROM unnest($11::text[]) AS phrase
        WHERE NOT n.search_vec @@ phrase::tsquery
          AND NOT EXISTS (
            SELECT FROM keyword_passages AS p WHERE p.memory_id = n.id AND p.search_vec @@ phrase::tsquery
          )
      )
      AND ($12::text IS NULL OR NOT n.search_vec @@ $12::text::tsquery AND NOT EXISTS (
        SELECT FROM keyword_passages AS p WHERE p.memory_id = n.id AND p.search_vec @@ $12::text::tsquery
      ))
  END)
  AND ($3::text[] IS NULL OR n.domains && $3)
  AND ($4::text[] IS NULL OR n.tags && $4)
  AND ($5::text[] IS NULL OR n.node_type = ANY ($5))
  AND ($6::text[] IS NULL OR n.codebase = ANY ($6))
  AND ($13::text[] IS NULL OR n.session = ANY ($13))
  AND ($7::timestamptz IS NULL OR n.created_at >= $7)
  AND ($8::timestamptz IS NULL OR n.created_at < $8)
  AND ($10::float8 IS NULL OR NOT EXISTS (
    SELECT FROM scheduling AS s
    WHERE s.memory_id = n.id
      AND (extract(epoch FROM $9::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
        > s.stability * $10
  ))
