-- In one statement, so that the locks are held to the end without a transaction around it, as under `psql -f`.
DO $down$
BEGIN
LOCK TABLE reembedding, keyword_statistics IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

CREATE OR REPLACE FUNCTION vestige_terms(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_terms_of_words(vestige_words(body));
CREATE OR REPLACE FUNCTION vestige_search_vec(content text, node_type text, tags text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN setweight(vestige_terms(array_to_string(tags, ' ')), 'C')
  || setweight(vestige_terms(node_type), 'B')
  || setweight(vestige_terms(content), 'A');
DROP FUNCTION vestige_replaced_terms(tsvector);
DROP FUNCTION vestige_terms_with_replaced(tsvector);
DROP FUNCTION vestige_replaced_stems();

UPDATE knowledge_nodes SET content = content
WHERE search_vec <> vestige_search_vec(content, node_type, tags);
DELETE FROM keyword_statistics;
DELETE FROM keyword_statistics_state;
END
$down$;
