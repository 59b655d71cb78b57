-- The memories around others in their sessions, each of a session by (created_at, id).
--
-- $1   ids of the memories
-- $2   how many before each of them, and how many after it
SELECT
  asked.number AS "number!",
  n.is_before AS "is_before!",
  n.id AS "id!"
FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, number)
JOIN knowledge_nodes AS hit USING (id)
CROSS JOIN LATERAL (
  (
    SELECT true AS is_before, before.id, before.created_at
    FROM knowledge_nodes AS before
    WHERE before.session = hit.session AND (before.created_at, before.id) < (hit.created_at, hit.id)
    ORDER BY before.created_at DESC, before.id DESC
    LIMIT $2
  )
  UNION ALL
  (
    SELECT false AS is_before, after.id, after.created_at
    FROM knowledge_nodes AS after
    WHERE after.session = hit.session AND (after.created_at, after.id) > (hit.created_at, hit.id)
    ORDER BY after.created_at, after.id
    LIMIT $2
  )
) AS n
ORDER BY asked.number, n.created_at, n.id
