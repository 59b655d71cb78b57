-- What in the schema of the store is not Vestige's, and could act in the name of the role that uses the store; and
-- who may put such a thing there. $1 the tables of Vestige, $2 its functions.
WITH home AS (
  SELECT relnamespace AS schema, relowner AS owner FROM pg_catalog.pg_class WHERE oid = 'knowledge_nodes'::regclass
),
tables AS (
  SELECT c.oid, c.relname, c.relowner
  FROM pg_catalog.pg_class AS c JOIN home ON c.relnamespace = home.schema
  WHERE c.relname = ANY ($1::name[])
)
-- A call takes the function whose parameters fit best: one of a known name could be taken for another.
SELECT true AS acts, pg_catalog.format('function %s of %s', p.oid::regprocedure, p.proowner::regrole) AS what
FROM pg_catalog.pg_proc AS p
JOIN home ON p.pronamespace = home.schema
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
  )
  AND (
    p.proname LIKE 'vestige\_%'
      AND NOT (
        p.proowner = home.owner
        AND pg_catalog.format('%s(%s)', p.proname, pg_catalog.oidvectortypes(p.proargtypes)) = ANY ($2::text[])
      )
    OR EXISTS (
      SELECT FROM pg_catalog.pg_proc AS own
      WHERE own.pronamespace = 'pg_catalog'::regnamespace AND own.proname = p.proname
    )
  )
UNION ALL
SELECT true, pg_catalog.format('operator %s of %s', o.oid::regoperator, o.oprowner::regrole)
FROM pg_catalog.pg_operator AS o
JOIN home ON o.oprnamespace = home.schema
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_depend AS d
  WHERE d.classid = 'pg_catalog.pg_operator'::regclass AND d.objid = o.oid AND d.deptype = 'e'
)
UNION ALL
SELECT true, pg_catalog.format('trigger %s on %s', t.tgname, tables.relname)
FROM pg_catalog.pg_trigger AS t
JOIN tables ON tables.oid = t.tgrelid
JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
CROSS JOIN home
WHERE NOT t.tgisinternal
  AND NOT (
    t.tgname IN ('count_inserted', 'count_deleted', 'count_updated', 'count_none', 'review_events_append_only')
    AND p.pronamespace = home.schema AND p.proowner = home.owner
  )
UNION ALL
SELECT true, pg_catalog.format('rule %s on %s', r.rulename, tables.relname)
FROM pg_catalog.pg_rewrite AS r
JOIN tables ON tables.oid = r.ev_class
UNION ALL
SELECT true, pg_catalog.format('table %s of %s', tables.relname, tables.relowner::regrole)
FROM tables
CROSS JOIN home
WHERE tables.relowner <> home.owner
UNION ALL
SELECT false, pg_catalog.format(
  '%s may create objects in schema %s', CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END, n.nspname
)
FROM pg_catalog.pg_namespace AS n
JOIN home ON home.schema = n.oid
CROSS JOIN pg_catalog.aclexplode(n.nspacl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE a.privilege_type = 'CREATE' AND a.grantee NOT IN (n.nspowner, home.owner) AND NOT coalesce(r.rolsuper, false)
UNION ALL
SELECT false, pg_catalog.format(
  '%s may make triggers on %s', CASE a.grantee WHEN 0 THEN 'everybody' ELSE a.grantee::regrole::text END, tables.relname
)
FROM tables
JOIN pg_catalog.pg_class AS c ON c.oid = tables.oid
CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
WHERE a.privilege_type = 'TRIGGER' AND a.grantee <> c.relowner
UNION ALL
SELECT false, pg_catalog.format('everybody may %s %s', pg_catalog.lower(a.privilege_type), tables.relname)
FROM tables
JOIN pg_catalog.pg_class AS c ON c.oid = tables.oid
CROSS JOIN pg_catalog.aclexplode(c.relacl) AS a
WHERE a.grantee = 0
ORDER BY acts DESC, what
