-- Gives the second table the owner of the first and the rights on it. When it is built, so that the writers of the first
-- may delete from it whoever re-embeds; and once more before the switch, for what was granted meanwhile.
DO $$
DECLARE
  grants record;
BEGIN
  EXECUTE format(
    'ALTER TABLE knowledge_nodes_next OWNER TO %s',
    (SELECT relowner::regrole FROM pg_class WHERE oid = 'knowledge_nodes'::regclass)
  );
  FOR grants IN
    SELECT
      privilege_type,
      CASE grantee WHEN 0 THEN 'PUBLIC' ELSE format('%s', grantee::regrole) END AS grantee,
      CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END AS grantable
    FROM pg_class, aclexplode(relacl)
    WHERE oid = 'knowledge_nodes'::regclass
  LOOP
    EXECUTE format(
      'GRANT %s ON knowledge_nodes_next TO %s%s', grants.privilege_type, grants.grantee, grants.grantable
    );
  END LOOP;
END
$$;
