-- The functions as they were: names are looked for in the schema.

CREATE OR REPLACE FUNCTION vestige_model_matches(
  spoken_name text, spoken_dimension integer, spoken_hash text, vector_dimension integer
) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
DECLARE
  model embedding_model;
BEGIN
  SELECT * INTO model FROM embedding_model;
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
$$;

CREATE OR REPLACE FUNCTION vestige_model_takes(
  spoken_name text, spoken_dimension integer, spoken_hash text, vector_dimension integer
) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  IF vector_dimension IS NULL THEN
    RETURN NULL;
  END IF;
  IF NOT vestige_model_matches(spoken_name, spoken_dimension, spoken_hash, vector_dimension) THEN
    RAISE EXCEPTION 'no model is registered' USING ERRCODE = 'VS002';
  END IF;
  RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION vestige_refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION 'the review log is append only' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE OR REPLACE FUNCTION vestige_build_hnsw() RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  dimension integer;
  valid boolean;
BEGIN
  SELECT atttypmod INTO dimension FROM pg_attribute
  WHERE attrelid = 'knowledge_nodes'::regclass AND attname = 'embedding' AND NOT attisdropped;
  IF dimension IS NULL OR dimension < 1 THEN
    RETURN false;
  END IF;
  SELECT indisvalid INTO valid FROM pg_index
  WHERE indexrelid = to_regclass('idx_knowledge_nodes_embedding_hnsw');
  IF valid THEN
    RETURN false;
  END IF;
  DROP INDEX IF EXISTS idx_knowledge_nodes_embedding_hnsw;
  CREATE INDEX idx_knowledge_nodes_embedding_hnsw ON knowledge_nodes
    USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
  RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION vestige_index_codebase_vectors(memories regclass, index_name text) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
  dimension integer;
  valid boolean;
BEGIN
  SELECT atttypmod INTO dimension FROM pg_attribute
  WHERE attrelid = memories AND attname = 'embedding' AND NOT attisdropped;
  IF dimension IS NULL OR dimension NOT BETWEEN 1 AND 400 THEN
    RETURN false;
  END IF;
  SELECT indisvalid INTO valid FROM pg_index WHERE indexrelid = to_regclass(quote_ident(index_name));
  IF valid THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP INDEX IF EXISTS %I', index_name);
  EXECUTE format(
    'CREATE INDEX %I ON %s (codebase) INCLUDE (id, embedding) WHERE codebase IS NOT NULL AND embedding IS NOT NULL',
    index_name, memories
  );
  RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION vestige_length(document tsvector) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(sum(cardinality(positions)), 0) FROM unnest(document));

CREATE OR REPLACE FUNCTION vestige_count_documents(documents_change bigint, terms_change bigint) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO keyword_totals AS known (backend, documents, terms)
  SELECT pg_backend_pid(), documents_change, terms_change
  WHERE documents_change <> 0 OR terms_change <> 0
  ON CONFLICT (backend) DO UPDATE
    SET documents = known.documents + excluded.documents, terms = known.terms + excluded.terms;
END;

CREATE OR REPLACE FUNCTION vestige_count_deleted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(-count(*), -coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM old_rows;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION vestige_count_memories_of(memories regclass) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  EXECUTE format('CREATE TRIGGER count_inserted AFTER INSERT ON %s
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION vestige_count_inserted()', memories);
  EXECUTE format('CREATE TRIGGER count_deleted AFTER DELETE ON %s
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION vestige_count_deleted()', memories);
  EXECUTE format('CREATE TRIGGER count_updated AFTER UPDATE ON %s
    REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows
    FOR EACH STATEMENT EXECUTE FUNCTION vestige_count_updated()', memories);
  EXECUTE format('CREATE TRIGGER count_none AFTER TRUNCATE ON %s
    FOR EACH STATEMENT EXECUTE FUNCTION vestige_count_none()', memories);
END
$$;

CREATE OR REPLACE FUNCTION vestige_refuse_analysis(expected bigint) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RAISE EXCEPTION 'the terms of this store are of another analysis than %', expected USING ERRCODE = 'VS003';
END
$$;

-- True, or an error where the terms of the store are of another analysis.
CREATE OR REPLACE FUNCTION vestige_analysis_is(expected bigint) RETURNS boolean
LANGUAGE sql STABLE
RETURN CASE
  WHEN (SELECT version FROM keyword_analysis) = expected THEN true
  ELSE vestige_refuse_analysis(expected)
END;

-- Terms that are to be stored, or an error where the terms of the store are of another analysis. A statement that calls
-- this has a lock of knowledge_nodes since before its snapshot; so no change of the analysis comes in between.
CREATE OR REPLACE FUNCTION vestige_accept_terms(terms tsvector, expected bigint) RETURNS tsvector
LANGUAGE sql STABLE
RETURN CASE WHEN vestige_analysis_is(expected) THEN terms END;

-- The triggers notice rows that were written without terms, or whose text changed and whose terms did not.
CREATE OR REPLACE FUNCTION vestige_count_inserted() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
  written record;
BEGIN
  SELECT
    count(*) AS documents,
    coalesce(sum(vestige_length(search_vec)), 0)::bigint AS terms,
    bool_or(search_vec IS NULL) AS without_terms
  INTO written
  FROM new_rows;
  PERFORM vestige_count_documents(written.documents, written.terms);
  IF written.without_terms THEN
    INSERT INTO unanalyzed_memories (memory_id)
    SELECT id FROM new_rows WHERE search_vec IS NULL
    ON CONFLICT DO NOTHING;
  END IF;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION vestige_count_updated() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(
    0,
    ((SELECT coalesce(sum(vestige_length(search_vec)), 0) FROM new_rows)
      - (SELECT coalesce(sum(vestige_length(search_vec)), 0) FROM old_rows))::bigint
  );
  INSERT INTO unanalyzed_memories (memory_id)
  SELECT n.id
  FROM new_rows AS n
  LEFT JOIN old_rows AS o USING (id)
  WHERE n.search_vec IS NULL
    OR (n.content, n.node_type, n.tags) IS DISTINCT FROM (o.content, o.node_type, o.tags)
      AND n.search_vec IS NOT DISTINCT FROM o.search_vec
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION vestige_count_none() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM keyword_totals;
  DELETE FROM unanalyzed_memories;
  RETURN NULL;
END
$$;

-- Whoever writes to the table from a session with another search_path meets the same functions and tables.
DO $$
DECLARE
  fixed regprocedure;
BEGIN
  FOREACH fixed IN ARRAY ARRAY[
    'vestige_count_inserted()', 'vestige_count_deleted()', 'vestige_count_updated()', 'vestige_count_none()'
  ]::regprocedure[]
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET search_path = %I, pg_temp', fixed, current_schema());
  END LOOP;
END
$$;
