-- What stands on knowledge_nodes and is not Vestige's.
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
ORDER BY 1
