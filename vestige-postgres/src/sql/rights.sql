-- What the current role may not do with the store, found by the catalog alone: the schema may be closed to the role.
-- $1 the tables of Vestige, $2 the table of the migrations, which is only read. No row where search_path names no store.
WITH home AS (
  SELECT c.relnamespace AS schema, n.nspname AS name, c.relowner AS owner
  FROM pg_catalog.unnest(pg_catalog.string_to_array(pg_catalog.current_setting('search_path'), ','))
    WITH ORDINALITY AS path (entry, place)
  JOIN pg_catalog.pg_namespace AS n ON n.nspname = CASE pg_catalog.btrim(entry, ' "')
    WHEN '$user' THEN current_user::text
    ELSE pg_catalog.btrim(entry, ' "')
  END
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relname = 'knowledge_nodes'
  ORDER BY place
  LIMIT 1
),
tables AS (
  SELECT c.oid, pg_catalog.quote_ident(c.relname) AS name, c.relname = $2 AS is_read_only
  FROM home
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = home.schema
  WHERE c.relkind = 'r' AND (c.relname = ANY ($1::text[]) OR c.relname = $2)
),
lacking AS (
  SELECT place, wanted, pg_catalog.string_agg(name, ', ' ORDER BY name) AS names, pg_catalog.count(*) AS tables,
    (SELECT pg_catalog.count(*) FROM tables WHERE wanted = 'SELECT' OR NOT is_read_only) AS all_tables
  FROM tables
  CROSS JOIN pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'MAINTAIN']) WITH ORDINALITY AS asked (wanted, place)
  WHERE (wanted = 'SELECT' OR NOT is_read_only) AND NOT pg_catalog.has_table_privilege(tables.oid, wanted)
  GROUP BY place, wanted
),
rights AS (
  SELECT 0 AS place, true AS reads, 'USAGE on schema ' || pg_catalog.quote_ident(name) AS lacks
  FROM home
  WHERE NOT pg_catalog.has_schema_privilege(home.schema, 'USAGE')
  UNION ALL
  SELECT place, wanted = 'SELECT',
    wanted || ' on ' || CASE tables WHEN all_tables THEN 'every table' ELSE names END
  FROM lacking
  UNION ALL
  SELECT 9, true, 'EXECUTE on functions ' || pg_catalog.string_agg(p.proname, ', ' ORDER BY p.proname)
  FROM home
  JOIN pg_catalog.pg_proc AS p ON p.pronamespace = home.schema AND p.proname LIKE 'vestige\_%'
  WHERE NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
  HAVING pg_catalog.count(*) > 0
)
SELECT
  pg_catalog.quote_ident(current_user) AS role,
  home.owner::pg_catalog.regrole::text AS owner,
  pg_catalog.pg_has_role(home.owner, 'USAGE') AS owns,
  NOT pg_catalog.has_schema_privilege(home.schema, 'USAGE') AS is_hidden,
  coalesce((SELECT pg_catalog.array_agg(lacks ORDER BY place) FROM rights WHERE reads), '{}') AS to_read,
  coalesce((SELECT pg_catalog.array_agg(lacks ORDER BY place) FROM rights WHERE NOT reads), '{}') AS to_write
FROM home
