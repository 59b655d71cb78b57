-- A role that may create objects in the schema must not be able to run code as the role of Vestige.

-- A call by name takes the function whose parameters fit best, of all schemas of search_path. So a function that another
-- role creates beside those of Vestige could be taken instead of one of Vestige or of PostgreSQL. From here on no function
-- of the schema looks for a name in it: names are bound when the function is made (RETURN, BEGIN ATOMIC), or the function
-- sees PostgreSQL's own schema alone and writes the schema of every other name. The schema has any name, so it is put in
-- where @home stands, and as a literal where @literal stands.
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
CREATE OR REPLACE FUNCTION @home.vestige_model_matches(
  spoken_name text, spoken_dimension integer, spoken_hash text, vector_dimension integer
) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  model @home.embedding_model;
BEGIN
  SELECT * INTO model FROM @home.embedding_model;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF (spoken_hash IS NOT NULL AND (spoken_name, spoken_dimension, spoken_hash) <> (model.name, model.dimension, model.hash))
    OR vector_dimension <> model.dimension
  THEN
    RAISE EXCEPTION 'the vectors belong to another model'
      USING ERRCODE = 'VS001', DETAIL = json_build_object('name', model.name, 'dimension', model.dimension, 'hash', model.hash);
  END IF;
  RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_model_takes(
  spoken_name text, spoken_dimension integer, spoken_hash text, vector_dimension integer
) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  IF vector_dimension IS NULL THEN
    RETURN NULL;
  END IF;
  IF NOT @home.vestige_model_matches(spoken_name, spoken_dimension, spoken_hash, vector_dimension) THEN
    RAISE EXCEPTION 'no model is registered' USING ERRCODE = 'VS002';
  END IF;
  RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  RAISE EXCEPTION 'the review log is append only' USING ERRCODE = 'restrict_violation';
END
$body$;

-- pgvector may be in any schema.
CREATE OR REPLACE FUNCTION @home.vestige_build_hnsw() RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  dimension integer;
  valid boolean;
BEGIN
  SELECT atttypmod INTO dimension FROM pg_attribute
  WHERE attrelid = '@home.knowledge_nodes'::regclass AND attname = 'embedding' AND NOT attisdropped;
  IF dimension IS NULL OR dimension < 1 THEN
    RETURN false;
  END IF;
  SELECT indisvalid INTO valid FROM pg_index
  WHERE indexrelid = to_regclass(@literal || '.idx_knowledge_nodes_embedding_hnsw');
  IF valid THEN
    RETURN false;
  END IF;
  DROP INDEX IF EXISTS @home.idx_knowledge_nodes_embedding_hnsw;
  EXECUTE format(
    'CREATE INDEX idx_knowledge_nodes_embedding_hnsw ON @home.knowledge_nodes '
    'USING hnsw (embedding %I.vector_cosine_ops) WITH (m = 16, ef_construction = 64)',
    (SELECT nspname FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = 'vector')
  );
  RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_index_codebase_vectors(memories regclass, index_name text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
  dimension integer;
  valid boolean;
BEGIN
  SELECT atttypmod INTO dimension FROM pg_attribute
  WHERE attrelid = memories AND attname = 'embedding' AND NOT attisdropped;
  IF dimension IS NULL OR dimension NOT BETWEEN 1 AND 400 THEN
    RETURN false;
  END IF;
  SELECT indisvalid INTO valid FROM pg_index
  WHERE indexrelid = to_regclass(@literal || '.' || quote_ident(index_name));
  IF valid THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP INDEX IF EXISTS @home.%I', index_name);
  EXECUTE format(
    'CREATE INDEX %I ON %s (codebase) INCLUDE (id, embedding) WHERE codebase IS NOT NULL AND embedding IS NOT NULL',
    index_name, memories
  );
  RETURN true;
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_length(document tsvector) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(sum(cardinality(positions)), 0) FROM unnest(document));

CREATE OR REPLACE FUNCTION @home.vestige_count_documents(documents_change bigint, terms_change bigint) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO @home.keyword_totals AS known (backend, documents, terms)
  SELECT pg_backend_pid(), documents_change, terms_change
  WHERE documents_change <> 0 OR terms_change <> 0
  ON CONFLICT (backend) DO UPDATE
    SET documents = known.documents + excluded.documents, terms = known.terms + excluded.terms;
END;

CREATE OR REPLACE FUNCTION @home.vestige_refuse_analysis(expected bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  RAISE EXCEPTION 'the terms of this store are of another analysis than %', expected USING ERRCODE = 'VS003';
END
$body$;

CREATE OR REPLACE FUNCTION @home.vestige_analysis_is(expected bigint) RETURNS boolean
LANGUAGE sql STABLE
RETURN CASE
  WHEN (SELECT version FROM @home.keyword_analysis) = expected THEN true
  ELSE @home.vestige_refuse_analysis(expected)
END;

CREATE OR REPLACE FUNCTION @home.vestige_accept_terms(terms tsvector, expected bigint) RETURNS tsvector
LANGUAGE sql STABLE
RETURN CASE WHEN @home.vestige_analysis_is(expected) THEN terms END;

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

CREATE OR REPLACE FUNCTION @home.vestige_count_memories_of(memories regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
  EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %s
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_inserted()', memories);
  EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %s
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_deleted()', memories);
  EXECUTE format('CREATE TRIGGER count_updated AFTER UPDATE ON %s
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_updated()', memories);
  EXECUTE format('CREATE TRIGGER count_none AFTER TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION @home.vestige_count_none()', memories);
END
$body$;
  $functions$;
  EXECUTE replace(replace(functions, '@home', home), '@literal', quote_literal(home));
  PERFORM set_config('search_path', path, true);
END
$migration$;
