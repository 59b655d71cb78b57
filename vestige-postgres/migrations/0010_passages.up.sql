-- A long text is searched by passages. The first one's terms stay in knowledge_nodes; those of each further one are a row
-- of a table of their own, so that a memory of one passage costs what it did.

-- A second table of a re-embedding would lack the column; it is built again. One that is being built is waited for first.
LOCK TABLE reembedding IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- How many passages the content has beside the first. Rewrites nothing.
ALTER TABLE knowledge_nodes ADD COLUMN passages integer NOT NULL DEFAULT 0;

-- The triggers of knowledge_nodes remove what belongs to no memory any more. A foreign key would run a statement, with
-- its triggers, for each memory that is deleted, and for each passage that is added.
CREATE TABLE keyword_passages (
  memory_id uuid NOT NULL,
  -- From 1: the first passage of a text is 0.
  number integer NOT NULL CHECK (number > 0),
  search_vec tsvector NOT NULL,
  PRIMARY KEY (memory_id, number)
);
CREATE INDEX idx_keyword_passages_search_vec ON keyword_passages USING gin (search_vec);

-- How many of the documents are in keyword_passages. The rest are memories.
ALTER TABLE keyword_totals ADD COLUMN passages bigint NOT NULL DEFAULT 0;

-- Names are bound as in migration 8.
DO $migration$
DECLARE
  home text := (
    SELECT pg_catalog.quote_ident(nspname::text) FROM pg_catalog.pg_class AS known
    JOIN pg_catalog.pg_namespace AS schema ON schema.oid OPERATOR(pg_catalog.=) known.relnamespace
    WHERE known.oid OPERATOR(pg_catalog.=) 'knowledge_nodes'::pg_catalog.regclass
  );
  path text := pg_catalog.current_setting('search_path'::text);
  functions text;
BEGIN
  PERFORM pg_catalog.set_config('search_path'::text, 'pg_catalog, pg_temp'::text, true);
  functions := $functions$
DROP FUNCTION @home.vestige_count_documents(bigint, bigint);
CREATE FUNCTION @home.vestige_count_documents(documents_change bigint, terms_change bigint, passages_change bigint)
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO @home.keyword_totals AS known (backend, documents, terms, passages)
  SELECT pg_backend_pid(), documents_change, terms_change, passages_change
  WHERE documents_change <> 0 OR terms_change <> 0 OR passages_change <> 0
  ON CONFLICT (backend) DO UPDATE
    SET documents = known.documents + excluded.documents, terms = known.terms + excluded.terms,
      passages = known.passages + excluded.passages;
END;

-- Counts every document anew.
CREATE FUNCTION @home.vestige_recount_documents() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  DELETE FROM @home.keyword_totals;
  PERFORM @home.vestige_count_documents(count(*), coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint, 0::bigint)
  FROM @home.knowledge_nodes;
  PERFORM @home.vestige_count_documents(count(*), coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint, count(*))
  FROM @home.keyword_passages;
END
$body$;

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
  PERFORM @home.vestige_count_documents(written.documents, written.terms, 0::bigint);
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
DECLARE
  deleted record;
BEGIN
  SELECT
    count(*) AS documents,
    coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint AS terms,
    bool_or(passages > 0) AS with_passages
  INTO deleted
  FROM old_rows;
  PERFORM @home.vestige_count_documents(-deleted.documents, -deleted.terms, 0::bigint);
  IF deleted.with_passages THEN
    DELETE FROM @home.keyword_passages WHERE memory_id IN (SELECT id FROM old_rows WHERE passages > 0);
  END IF;
  RETURN NULL;
END
$body$;

-- Passages that a memory had and has no more go. The writer replaces the others.
CREATE OR REPLACE FUNCTION @home.vestige_count_updated() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  changed record;
BEGIN
  SELECT
    coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint AS terms,
    bool_or(passages > 0) AS with_passages
  INTO changed
  FROM old_rows;
  PERFORM @home.vestige_count_documents(
    0::bigint,
    (SELECT coalesce(sum(@home.vestige_length(search_vec)), 0) FROM new_rows)::bigint - changed.terms,
    0::bigint
  );
  INSERT INTO @home.unanalyzed_memories (memory_id)
  SELECT n.id
  FROM new_rows AS n
  LEFT JOIN old_rows AS o USING (id)
  WHERE n.search_vec IS NULL
    OR (n.content, n.node_type, n.tags) IS DISTINCT FROM (o.content, o.node_type, o.tags)
      AND n.search_vec IS NOT DISTINCT FROM o.search_vec
  ON CONFLICT DO NOTHING;
  IF changed.with_passages THEN
    DELETE FROM @home.keyword_passages AS p
    USING old_rows AS o
    LEFT JOIN new_rows AS n USING (id)
    WHERE p.memory_id = o.id AND p.number > coalesce(n.passages, 0) AND o.passages > coalesce(n.passages, 0);
  END IF;
  RETURN NULL;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_count_none() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  DELETE FROM @home.keyword_passages;
  DELETE FROM @home.keyword_totals;
  DELETE FROM @home.unanalyzed_memories;
  RETURN NULL;
END
$body$;

-- Memories whose passages were all removed at once are analysed again.
CREATE FUNCTION @home.vestige_count_passages() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  CASE TG_OP
    WHEN 'INSERT' THEN
      PERFORM @home.vestige_count_documents(
        count(*), coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint, count(*)
      )
      FROM new_rows;
    WHEN 'DELETE' THEN
      PERFORM @home.vestige_count_documents(
        -count(*), -coalesce(sum(@home.vestige_length(search_vec)), 0)::bigint, -count(*)
      )
      FROM old_rows;
    WHEN 'UPDATE' THEN
      PERFORM @home.vestige_count_documents(
        0::bigint,
        ((SELECT coalesce(sum(@home.vestige_length(search_vec)), 0) FROM new_rows)
          - (SELECT coalesce(sum(@home.vestige_length(search_vec)), 0) FROM old_rows))::bigint,
        0::bigint
      );
    ELSE
      PERFORM @home.vestige_recount_documents();
      INSERT INTO @home.unanalyzed_memories (memory_id)
      SELECT id FROM @home.knowledge_nodes WHERE passages > 0
      ON CONFLICT DO NOTHING;
  END CASE;
  RETURN NULL;
END
$body$;

CREATE TRIGGER count_inserted AFTER INSERT ON @home.keyword_passages
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_passages();
CREATE TRIGGER count_deleted AFTER DELETE ON @home.keyword_passages
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_passages();
CREATE TRIGGER count_updated AFTER UPDATE ON @home.keyword_passages
  REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_passages();
CREATE TRIGGER count_none AFTER TRUNCATE ON @home.keyword_passages
  FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_passages();
  $functions$;
  EXECUTE replace(functions, '@home', home);
  PERFORM set_config('search_path', path, true);
END
$migration$;
