-- The terms of a memory come from the client, and nothing here computes any.

-- A second table of a re-embedding would compute its terms itself; it is built again. One that is being built, and
-- statistics that are being made, are waited for first.
LOCK TABLE reembedding, keyword_statistics IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- Keeps the stored terms, and rewrites nothing.
ALTER TABLE knowledge_nodes ALTER COLUMN search_vec DROP EXPRESSION;
DROP FUNCTION vestige_search_vec(text, text, text[]);
DROP FUNCTION vestige_terms(text);
DROP FUNCTION vestige_replaced_terms(tsvector);
DROP FUNCTION vestige_terms_with_replaced(tsvector);
DROP FUNCTION vestige_replaced_stems();
DROP FUNCTION vestige_terms_of_words(text);
DROP FUNCTION vestige_terms_by_word(text);
DROP FUNCTION vestige_words(text);
DROP FUNCTION vestige_words_unicode(text);

-- The analysis that the terms are from: one row. Its fingerprint, and the program that was first to open the store with
-- it. The version counts the changes. `complete` is false until every memory has been analysed by it.
CREATE TABLE keyword_analysis (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  version bigint NOT NULL,
  fingerprint text NOT NULL,
  program text NOT NULL,
  complete boolean NOT NULL
);
-- SQL's own, which the first program that opens the store replaces.
INSERT INTO keyword_analysis (version, fingerprint, program, complete) VALUES (0, '', '0.0.0', true);

-- Memories whose terms are missing or of another analysis. An id may be of a memory that is gone.
CREATE TABLE unanalyzed_memories (
  memory_id uuid PRIMARY KEY
);

CREATE FUNCTION vestige_refuse_analysis(expected bigint) RETURNS boolean
LANGUAGE plpgsql STABLE
AS $$
BEGIN
  RAISE EXCEPTION 'the terms of this store are of another analysis than %', expected USING ERRCODE = 'VS003';
END
$$;

-- True, or an error where the terms of the store are of another analysis.
CREATE FUNCTION vestige_analysis_is(expected bigint) RETURNS boolean
LANGUAGE sql STABLE
RETURN CASE
  WHEN (SELECT version FROM keyword_analysis) = expected THEN true
  ELSE vestige_refuse_analysis(expected)
END;

-- Terms that are to be stored, or an error where the terms of the store are of another analysis. A statement that calls
-- this has a lock of knowledge_nodes since before its snapshot; so no change of the analysis comes in between.
CREATE FUNCTION vestige_accept_terms(terms tsvector, expected bigint) RETURNS tsvector
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
