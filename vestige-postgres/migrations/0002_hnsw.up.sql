-- The vector index, alone, so that it can be dropped and rebuilt.

-- HNSW needs to know the dimension, which the column has once a model is registered. So the index is made here
-- for a database that has a model, and by `register_model` for one that has none yet: both by this function,
-- which mends an index that an interrupted build left invalid, and says whether it built anything.
CREATE FUNCTION vestige_build_hnsw() RETURNS boolean
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

SELECT vestige_build_hnsw();
