-- What stands on knowledge_nodes, or is set of it, and is not Vestige's: the table that takes its place would have none of
-- it. The columns of Vestige's own are those that next_create.sql fills; $1 its indexes.
SELECT format('view %s', r.ev_class::regclass)
FROM pg_depend AS d
JOIN pg_rewrite AS r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'knowledge_nodes'::regclass
UNION
SELECT format('policy %s', polname) FROM pg_policy WHERE polrelid = 'knowledge_nodes'::regclass
UNION
SELECT 'row level security' FROM pg_class WHERE oid = 'knowledge_nodes'::regclass AND relrowsecurity
UNION
SELECT format('privileges on the column %s', attname)
FROM pg_attribute
WHERE attrelid = 'knowledge_nodes'::regclass AND attacl IS NOT NULL AND NOT attisdropped
UNION
SELECT format('column %s', attname)
FROM pg_attribute
WHERE attrelid = 'knowledge_nodes'::regclass AND attnum > 0 AND NOT attisdropped
  AND attname NOT IN (
    'id', 'content', 'node_type', 'tags', 'metadata', 'domains', 'domain_scores', 'embedding', 'codebase',
    'owner_user_id', 'visibility', 'shared_with_groups', 'created_at', 'updated_at', 'search_vec',
    'session', 'passages'
  )
UNION
SELECT format('statistics settings of the column %s', attname)
FROM pg_attribute
WHERE attrelid = 'knowledge_nodes'::regclass AND NOT attisdropped
  AND (attstattarget IS NOT NULL OR attoptions IS NOT NULL)
UNION
SELECT format('index %s', c.relname)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'knowledge_nodes'::regclass AND c.relname <> ALL ($1::text[])
UNION
-- The only one of Vestige's indexes that is made with any is HNSW.
SELECT format('storage parameters of the index %s', c.relname)
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid = 'knowledge_nodes'::regclass AND c.relname = ANY ($1::text[])
  AND c.reloptions <> '{m=16,ef_construction=64}'
UNION
SELECT format('storage parameter %s', setting)
FROM pg_class AS c, unnest(c.reloptions) AS setting
WHERE c.oid = 'knowledge_nodes'::regclass
UNION
SELECT format('storage parameter toast.%s', setting)
FROM pg_class AS c
JOIN pg_class AS toast ON toast.oid = c.reltoastrelid, unnest(toast.reloptions) AS setting
WHERE c.oid = 'knowledge_nodes'::regclass
UNION
SELECT format('replica identity %s', CASE relreplident WHEN 'f' THEN 'full' WHEN 'n' THEN 'nothing' ELSE 'by an index' END)
FROM pg_class
WHERE oid = 'knowledge_nodes'::regclass AND relreplident <> 'd'
UNION
SELECT format('statistics %s', stxname) FROM pg_statistic_ext WHERE stxrelid = 'knowledge_nodes'::regclass
UNION
SELECT format('publication %s', p.pubname)
FROM pg_publication_rel AS pr
JOIN pg_publication AS p ON p.oid = pr.prpubid
WHERE pr.prrelid = 'knowledge_nodes'::regclass
UNION
SELECT format('trigger %s', tgname)
FROM pg_trigger
WHERE tgrelid = 'knowledge_nodes'::regclass AND NOT tgisinternal
  AND tgname NOT IN ('count_inserted', 'count_deleted', 'count_updated', 'count_none')
UNION
SELECT format('constraint %s of %s', conname, conrelid::regclass)
FROM pg_constraint
WHERE confrelid = 'knowledge_nodes'::regclass AND conrelid NOT IN ('scheduling'::regclass, 'edges'::regclass)
  OR conrelid = 'knowledge_nodes'::regclass AND contype = 'f' AND conname <> 'knowledge_nodes_owner_user_id_fkey'
ORDER BY 1
