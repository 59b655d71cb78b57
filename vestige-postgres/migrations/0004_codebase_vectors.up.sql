-- The vectors of each code base side by side, alone, so that the index can be dropped and rebuilt.

-- Behind a filter by code base every vector that it lets through is compared. In the table each lies on a page of its own,
-- and the way there takes longer than the comparison; here is all that the comparison reads, four or five vectors to a page.
-- An entry of a B-tree is 2,704 bytes at most, which the longest name of a code base (1,024 bytes) and a vector of 400
-- dimensions fit into. A store of longer vectors goes without: this makes nothing then. It makes the index for whichever
-- table will hold the memories, mends one that an interrupted build left invalid, and says whether it built anything.
CREATE FUNCTION vestige_index_codebase_vectors(memories regclass, index_name text) RETURNS boolean
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

SELECT vestige_index_codebase_vectors('knowledge_nodes', 'idx_knowledge_nodes_codebase_embedding');
