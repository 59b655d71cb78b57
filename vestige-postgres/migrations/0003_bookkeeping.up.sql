-- What the store keeps beside the memories: the statistics of keyword ranking, and work that can be resumed.

-- How many documents the keyword index holds, and how many terms they have together: one row for each server
-- process that wrote, so that writers never wait for each other. The sums are exact in every snapshot.
CREATE TABLE keyword_totals (
  backend integer PRIMARY KEY,
  documents bigint NOT NULL,
  terms bigint NOT NULL
) WITH (fillfactor = 50);

-- The length of a document for BM25: its indexed terms.
CREATE FUNCTION vestige_length(document tsvector) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (SELECT coalesce(sum(cardinality(positions)), 0) FROM unnest(document));

CREATE FUNCTION vestige_count_documents(documents_change bigint, terms_change bigint) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
  INSERT INTO keyword_totals AS known (backend, documents, terms)
  SELECT pg_backend_pid(), documents_change, terms_change
  WHERE documents_change <> 0 OR terms_change <> 0
  ON CONFLICT (backend) DO UPDATE
    SET documents = known.documents + excluded.documents, terms = known.terms + excluded.terms;
END;

CREATE FUNCTION vestige_count_inserted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(count(*), coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM new_rows;
  RETURN NULL;
END
$$;

CREATE FUNCTION vestige_count_deleted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(-count(*), -coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM old_rows;
  RETURN NULL;
END
$$;

CREATE FUNCTION vestige_count_updated() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(
    0,
    ((SELECT coalesce(sum(vestige_length(search_vec)), 0) FROM new_rows)
      - (SELECT coalesce(sum(vestige_length(search_vec)), 0) FROM old_rows))::bigint
  );
  RETURN NULL;
END
$$;

CREATE FUNCTION vestige_count_none() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM keyword_totals;
  RETURN NULL;
END
$$;

-- On whichever table holds the memories: re-embedding puts another one in its place.
CREATE FUNCTION vestige_count_memories_of(memories regclass) RETURNS void
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

SELECT vestige_count_memories_of('knowledge_nodes');
SELECT vestige_count_documents(count(*), coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM knowledge_nodes;

-- What share of the documents holds a term, for the commoner terms of a large store.
CREATE TABLE keyword_statistics (
  term text COLLATE "C" PRIMARY KEY,
  share double precision NOT NULL
);

-- When keyword_statistics was computed: one row.
CREATE TABLE keyword_statistics_state (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  documents bigint NOT NULL,
  computed_at timestamptz NOT NULL DEFAULT now()
);

-- How far named pieces of work have come, such as copies from another store.
CREATE TABLE checkpoints (
  name text COLLATE "C" PRIMARY KEY,
  state jsonb NOT NULL,
  updated_at timestamptz NOT NULL
);

-- The model that a re-embedding under way goes to: one row, or none.
CREATE TABLE reembedding (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  name text NOT NULL,
  dimension integer NOT NULL CHECK (dimension > 0),
  hash text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT now()
);

-- Its vectors, beside the present ones. A row is the vector of the version of the memory of that time.
CREATE TABLE reembedding_vectors (
  memory_id uuid PRIMARY KEY,
  updated_at timestamptz NOT NULL,
  embedding vector
);
