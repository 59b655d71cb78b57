-- The memory itself: who owns it, what it says, how it is found by words, when it is reviewed.

CREATE EXTENSION IF NOT EXISTS vector;

-- How text becomes searchable terms. vestige-traits' `analysis` says the same in Rust, term for term.
-- The bodies are SQL-standard (RETURN), so that they are bound when they are made: a restore of a dump
-- computes the generated column below with an empty search_path.

-- Folded words with single spaces between them: compatibility decomposition without combining diacritics,
-- lower case, letters and digits only. After the class stands what Unicode 17 counts as alphabetic or numeric
-- and [:alnum:] of PostgreSQL 18 does not.
CREATE FUNCTION vestige_words_unicode(body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN regexp_replace(
  lower(regexp_replace(normalize(body, NFKD), '[\u0300-\u036F]+', '', 'g') COLLATE pg_c_utf8)
    COLLATE pg_unicode_fast,
    '[^[:alnum:]\u088F\u09F4-\u09F9\u0B72-\u0B77\u0BF0-\u0BF2\u0C5C\u0C78-\u0C7E\u0CDC\u0D58-\u0D5E\u0D70-\u0D78'
    '\u0F2A-\u0F33\u1369-\u137C\u17F0-\u17F9\u19DA\u24EB-\u24FF\u2776-\u2793\u2CFD\u3248-\u324F'
    '\uA7CE-\uA7CF\uA7D2\uA7D4\uA7F1\uA830-\uA835\U00010107-\U00010133\U00010175-\U00010178'
    '\U0001018A-\U0001018B\U000102E1-\U000102FB\U00010320-\U00010323\U00010858-\U0001085F'
    '\U00010879-\U0001087F\U000108A7-\U000108AF\U000108FB-\U000108FF\U00010916-\U0001091B'
    '\U00010940-\U00010959\U000109BC-\U000109BD\U000109C0-\U000109CF\U000109D2-\U000109FF'
    '\U00010A40-\U00010A48\U00010A7D-\U00010A7E\U00010A9D-\U00010A9F\U00010AEB-\U00010AEF'
    '\U00010B58-\U00010B5F\U00010B78-\U00010B7F\U00010BA9-\U00010BAF\U00010CFA-\U00010CFF'
    '\U00010E60-\U00010E7E\U00010EC5-\U00010EC7\U00010EFA-\U00010EFB\U00010F1D-\U00010F26'
    '\U00010F51-\U00010F54\U00010FC5-\U00010FCB\U00011052-\U00011065\U000111E1-\U000111F4'
    '\U0001173A-\U0001173B\U000118EA-\U000118F2\U00011B60-\U00011B67\U00011C5A-\U00011C6C'
    '\U00011DB0-\U00011DDB\U00011DE0-\U00011DE9\U00011FC0-\U00011FD4\U00016B5B-\U00016B61'
    '\U00016E80-\U00016E96\U00016EA0-\U00016EB8\U00016EBB-\U00016ED3\U00016FF2-\U00016FF6'
    '\U000187F8-\U000187FF\U00018D09-\U00018D1E\U00018D80-\U00018DF2\U0001D2C0-\U0001D2D3'
    '\U0001D2E0-\U0001D2F3\U0001D360-\U0001D378\U0001E6C0-\U0001E6DE\U0001E6E0-\U0001E6F5'
    '\U0001E6FE-\U0001E6FF\U0001E8C7-\U0001E8CF\U0001EC71-\U0001ECAB\U0001ECAD-\U0001ECAF'
    '\U0001ECB1-\U0001ECB4\U0001ED01-\U0001ED2D\U0001ED2F-\U0001ED3D\U0001F10B-\U0001F10C'
    '\U0002B73A-\U0002B73F\U0002CEA2-\U0002CEAD\U000323B0-\U00033479]+',
  ' ', 'g');

-- The folded words of the first 100,000 characters of a text; ASCII by a shorter way.
CREATE FUNCTION vestige_words(body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(left(body, 100000)) = length(left(body, 100000))
    THEN regexp_replace(lower(left(body, 100000) COLLATE pg_c_utf8), '[^a-z0-9]+', ' ', 'g')
  ELSE vestige_words_unicode(left(body, 100000))
END;

-- The terms of folded words one by one: what the parser of to_tsvector would take apart, or read by the
-- database's locale. Words over 2046 bytes are passed over, as to_tsvector does; so is what comes after
-- half a megabyte, so that three fields stay below the megabyte that a tsvector can hold.
CREATE FUNCTION vestige_terms_by_word(words text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
  SELECT coalesce(string_agg(quote_literal(term) || ':' || positions, ' '), '')::tsvector
  FROM (
    SELECT term, string_agg(position::text, ',' ORDER BY position) AS positions
    FROM (
      SELECT
        CASE
          WHEN word COLLATE pg_unicode_fast ~
    '[[:digit:]\u09F4-\u09F9\u0B72-\u0B77\u0BF0-\u0BF2\u0C78-\u0C7E\u0D58-\u0D5E\u0D70-\u0D78\u0F2A-\u0F33'
    '\u1369-\u137C\u16EE-\u16F0\u17F0-\u17F9\u19DA\u2180-\u2182\u2185-\u2188\u24EB-\u24FF\u2776-\u2793'
    '\u2CFD\u3007\u3021-\u3029\u3248-\u324F\uA6E6-\uA6EF\uA830-\uA835\U00010107-\U00010133'
    '\U00010140-\U00010178\U0001018A-\U0001018B\U000102E1-\U000102FB\U00010320-\U00010323\U00010341'
    '\U0001034A\U000103D1-\U000103D5\U00010858-\U0001085F\U00010879-\U0001087F\U000108A7-\U000108AF'
    '\U000108FB-\U000108FF\U00010916-\U0001091B\U000109BC-\U000109BD\U000109C0-\U000109CF'
    '\U000109D2-\U000109FF\U00010A40-\U00010A48\U00010A7D-\U00010A7E\U00010A9D-\U00010A9F'
    '\U00010AEB-\U00010AEF\U00010B58-\U00010B5F\U00010B78-\U00010B7F\U00010BA9-\U00010BAF'
    '\U00010CFA-\U00010CFF\U00010E60-\U00010E7E\U00010F1D-\U00010F26\U00010F51-\U00010F54'
    '\U00010FC5-\U00010FCB\U00011052-\U00011065\U000111E1-\U000111F4\U0001173A-\U0001173B'
    '\U000118EA-\U000118F2\U00011C5A-\U00011C6C\U00011DE0-\U00011DE9\U00011FC0-\U00011FD4'
    '\U00012400-\U0001246E\U00016B5B-\U00016B61\U00016E80-\U00016E96\U00016FF4-\U00016FF6'
    '\U0001D2C0-\U0001D2D3\U0001D2E0-\U0001D2F3\U0001D360-\U0001D378\U0001E8C7-\U0001E8CF'
    '\U0001EC71-\U0001ECAB\U0001ECAD-\U0001ECAF\U0001ECB1-\U0001ECB4\U0001ED01-\U0001ED2D'
    '\U0001ED2F-\U0001ED3D\U0001F10B-\U0001F10C]'
          THEN word
          ELSE (ts_lexize('pg_catalog.english_stem', word))[1]
        END AS term,
        position
      FROM (
        SELECT
          word,
          row_number() OVER (ORDER BY place) AS position,
          sum(octet_length(word) + 8) OVER (ORDER BY place) AS bytes
        FROM regexp_split_to_table(words, ' ') WITH ORDINALITY AS split (word, place)
        WHERE word <> '' AND octet_length(word) <= 2046
      ) AS numbered
      WHERE bytes <= 500000
    ) AS stemmed
    WHERE term IS NOT NULL
    GROUP BY term
  ) AS placed
);

-- The terms of folded words with their positions. The parser of to_tsvector is the fast way for what it reads
-- the same everywhere: ASCII, but for words such as 1e5x, which it takes for a number and a word.
CREATE FUNCTION vestige_terms_of_words(words text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(words) = length(words) AND words !~ '(^| )[0-9]+e[0-9]+[a-z]'
    THEN to_tsvector('pg_catalog.english', words)
  ELSE vestige_terms_by_word(words)
END;

-- The terms of a text with their positions.
CREATE FUNCTION vestige_terms(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_terms_of_words(vestige_words(body));

-- The keyword index of a memory: content A, type B, tags C. The short fields come first, because
-- positions end at 16383. array_to_string is only STABLE for the sake of other element types.
CREATE FUNCTION vestige_search_vec(content text, node_type text, tags text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN setweight(vestige_terms(array_to_string(tags, ' ')), 'C')
  || setweight(vestige_terms(node_type), 'B')
  || setweight(vestige_terms(content), 'A');

-- One row: the model that the vectors belong to.
CREATE TABLE embedding_model (
  id smallint PRIMARY KEY DEFAULT 1 CHECK (id = 1),
  name text NOT NULL,
  dimension integer NOT NULL CHECK (dimension > 0),
  hash text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Whether vectors of `vector_dimension` from a handle that speaks for a model (or for none: nulls) belong to
-- the registered model; false where none is registered. Part of the statement that uses the vector, so that
-- no switch to another model comes in between.
CREATE FUNCTION vestige_model_matches(
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

-- The same for vectors that are to be stored, which need a model; null and no error where there is no vector.
CREATE FUNCTION vestige_model_takes(
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

CREATE TABLE users (
  id uuid PRIMARY KEY,
  handle text NOT NULL UNIQUE,
  display_name text,
  created_at timestamptz NOT NULL DEFAULT now(),
  metadata jsonb NOT NULL DEFAULT '{}'
);

-- The owner of everything until there are others. Its time is the same in every store, so that archives are.
INSERT INTO users (id, handle, display_name, created_at)
VALUES ('00000000-0000-0000-0000-000000000001', 'local', 'Local User', '1970-01-01 00:00:00Z');

CREATE TABLE groups (
  id uuid PRIMARY KEY,
  handle text NOT NULL UNIQUE,
  display_name text,
  created_at timestamptz NOT NULL DEFAULT now(),
  metadata jsonb NOT NULL DEFAULT '{}'
);

CREATE TABLE group_memberships (
  user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
  group_id uuid NOT NULL REFERENCES groups ON DELETE CASCADE,
  role text NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
  joined_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (user_id, group_id)
);
CREATE INDEX idx_group_memberships_group ON group_memberships (group_id);

CREATE TABLE knowledge_nodes (
  id uuid PRIMARY KEY,
  content text NOT NULL,
  node_type text NOT NULL DEFAULT 'general',
  tags text[] NOT NULL DEFAULT '{}',
  metadata jsonb NOT NULL DEFAULT '{}',
  domains text[] NOT NULL DEFAULT '{}',
  domain_scores jsonb NOT NULL DEFAULT '{}',
  -- vector(N) once a model is registered.
  embedding vector,
  codebase text,
  owner_user_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000001' REFERENCES users,
  visibility text NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'group', 'public')),
  shared_with_groups uuid[] NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  search_vec tsvector GENERATED ALWAYS AS (vestige_search_vec(content, node_type, tags)) STORED
);
CREATE INDEX idx_knowledge_nodes_search_vec ON knowledge_nodes USING gin (search_vec);
CREATE INDEX idx_knowledge_nodes_tags ON knowledge_nodes USING gin (tags);
CREATE INDEX idx_knowledge_nodes_domains ON knowledge_nodes USING gin (domains);
CREATE INDEX idx_knowledge_nodes_shared_groups ON knowledge_nodes USING gin (shared_with_groups);
CREATE INDEX idx_knowledge_nodes_owner ON knowledge_nodes (owner_user_id);
CREATE INDEX idx_knowledge_nodes_codebase ON knowledge_nodes (codebase) WHERE codebase IS NOT NULL;
CREATE INDEX idx_knowledge_nodes_node_type ON knowledge_nodes (node_type);
CREATE INDEX idx_knowledge_nodes_created_at ON knowledge_nodes (created_at DESC, id);
CREATE INDEX idx_knowledge_nodes_updated_at ON knowledge_nodes (updated_at);

CREATE TABLE scheduling (
  memory_id uuid PRIMARY KEY REFERENCES knowledge_nodes ON DELETE CASCADE,
  stability double precision NOT NULL,
  difficulty double precision NOT NULL,
  retrievability double precision NOT NULL,
  last_review timestamptz,
  next_review timestamptz,
  reps integer NOT NULL DEFAULT 0,
  lapses integer NOT NULL DEFAULT 0
);
CREATE INDEX idx_scheduling_next_review ON scheduling (next_review, memory_id);

CREATE TABLE edges (
  source_id uuid NOT NULL REFERENCES knowledge_nodes ON DELETE CASCADE,
  target_id uuid NOT NULL REFERENCES knowledge_nodes ON DELETE CASCADE,
  edge_type text COLLATE "C" NOT NULL DEFAULT 'related',
  weight double precision NOT NULL DEFAULT 1.0,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (source_id, target_id, edge_type)
);
CREATE INDEX idx_edges_target ON edges (target_id);
CREATE INDEX idx_edges_type ON edges (edge_type);

-- The log outlives the memories it speaks of, so memory_id refers to nothing.
CREATE TABLE review_events (
  id uuid PRIMARY KEY,
  memory_id uuid NOT NULL,
  "timestamp" timestamptz NOT NULL,
  rating text NOT NULL CHECK (rating IN ('again', 'hard', 'good', 'easy')),
  prior_state jsonb,
  new_state jsonb NOT NULL
);
CREATE INDEX idx_review_events_memory ON review_events (memory_id, "timestamp", id);

CREATE FUNCTION vestige_refuse_change() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  RAISE EXCEPTION 'the review log is append only' USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER review_events_append_only
BEFORE UPDATE OR DELETE ON review_events
FOR EACH ROW EXECUTE FUNCTION vestige_refuse_change();

CREATE TABLE domains (
  id text COLLATE "C" PRIMARY KEY,
  label text NOT NULL,
  centroid vector,
  top_terms text[] NOT NULL DEFAULT '{}',
  memory_count bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  metadata jsonb NOT NULL DEFAULT '{}'
);
