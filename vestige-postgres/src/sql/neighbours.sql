-- The memories around others in their sessions, all of which may be found: the two before each and the two after it, in no
-- order. As around.sql, but without a filter the index of sessions has the whole answer.
--
-- $1 $2 $3   session, time and id of each memory
SELECT asked.id AS "lender!", n.id AS "id!", n.created_at AS "created_at!", n.after AS "after!"
FROM unnest($1::text[], $2::timestamptz[], $3::uuid[]) AS asked (session, created_at, id)
CROSS JOIN LATERAL (
  (
    SELECT before.id, before.created_at, false AS after
    FROM knowledge_nodes AS before
    WHERE before.session = asked.session AND (before.created_at, before.id) < (asked.created_at, asked.id)
    ORDER BY before.created_at DESC, before.id DESC
    LIMIT 2
  )
  UNION ALL
  (
    SELECT after.id, after.created_at, true
    FROM knowledge_nodes AS after
    WHERE after.session = asked.session AND (after.created_at, after.id) > (asked.created_at, asked.id)
    ORDER BY after.created_at, after.id
    LIMIT 2
  )
) AS n
