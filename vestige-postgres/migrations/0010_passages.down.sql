-- In one statement, so that the locks are held to the end without a transaction around it, as under `psql -f`.
DO $down$
DECLARE
  home text := (
    SELECT pg_catalog.quote_ident(nspname::text) FROM pg_catalog.pg_class AS known
    JOIN pg_catalog.pg_namespace AS schema ON schema.oid OPERATOR(pg_catalog.=) known.relnamespace
    WHERE known.oid OPERATOR(pg_catalog.=) 'knowledge_nodes'::pg_catalog.regclass
  );
  path text := pg_catalog.current_setting('search_path'::text);
  functions text;
BEGIN
LOCK TABLE reembedding IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- The triggers and the index go with the table. The program of before analyses every memory anew.
DROP TABLE keyword_passages;
ALTER TABLE knowledge_nodes DROP COLUMN passages;

PERFORM pg_catalog.set_config('search_path'::text, 'pg_catalog, pg_temp'::text, true);
functions := $functions$
DROP FUNCTION @home.vestige_count_passages();
DROP FUNCTION @home.vestige_recount_documents();
DROP FUNCTION @home.vestige_count_documents(bigint, bigint, bigint);
ALTER TABLE @home.keyword_totals DROP COLUMN passages;
CREATE FUNCTION @home.vestige_count_documents(documents_change bigint, terms_change bigint) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO @home.keyword_totals AS known (backend, documents, terms)
  SELECT pg_backend_pid(), documents_change, terms_change
  WHERE documents_change <> 0 OR terms_change <> 0
  ON CONFLICT (backend) DO UPDATE
    SET documents = known.documents + excluded.documents, terms = known.terms + excluded.terms;
END;

CREATE OR REPLACE FUNCTION @home.vestige_count_inserted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  written record;
BEGIN
  SELECT
    count(*) AS documents,
    coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint AS terms,
    bool_or(search_vec IS NULL) AS without_terms
  INTO written
  FROM new_rows;
  PERFORM @home.vestige_count_documents(written.documents, written.terms);
  IF written.without_terms THEN
    INSERT INTO @home.unanalyzed_memories (memory_id)
    SELECT id FROM new_rows WHERE search_vec IS NULL
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_count_deleted() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  PERFORM @home.vestige_count_documents(-count(*), -coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint) FROM old_rows;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_count_updated() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  PERFORM @home.vestige_count_documents(
    0::bigint,
    ((SELECT coalesce(sum(@home.vestige_length(search_vec)), 0) FROM new_rows)
      - (SELECT coalesce(sum(@home.vestige_length(search_vec)), 0) FROM old_rows))::bigint
  );
  INSERT INTO @home.unanalyzed_memories (memory_id)
  SELECT n.id
  FROM new_rows AS n
  LEFT JOIN old_rows AS o USING (id)
  WHERE n.search_vec IS NULL
    OR (n.content, n.node_type, n.tags) IS DISTINCT FROM (o.content, o.node_type, o.tags)
      AND n.search_vec IS NOT DISTINCT FROM o.search_vec
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_count_none() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  DELETE FROM @home.keyword_totals;
  DELETE FROM @home.unanalyzed_memories;
  RETURN NULL;
END
$body$;

DELETE FROM @home.keyword_totals;
SELECT @home.vestige_count_documents(count(*), coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint)
FROM @home.knowledge_nodes;
$functions$;
EXECUTE replace(functions, '@home', home);
PERFORM set_config('search_path', path, true);
END
$down$;
