-- In one statement, so that the locks are held to the end without a transaction around it, as under `psql -f`.
DO $down$
BEGIN
-- Rows that come meanwhile would have the old terms, and so has a table that a re-embedding has built and not put in
-- place: it is built again.
LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

CREATE OR REPLACE FUNCTION vestige_words(body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(left(body, 100000)) = length(left(body, 100000))
    THEN regexp_replace(lower(left(body, 100000) COLLATE pg_c_utf8), '[^a-z0-9]+', ' ', 'g')
  ELSE vestige_words_unicode(left(body, 100000))
END;

UPDATE knowledge_nodes SET content = content
WHERE (octet_length(content) > length(content)
    OR octet_length(node_type) > length(node_type)
    OR octet_length(tags::text) > length(tags::text))
  AND search_vec <> vestige_search_vec(content, node_type, tags);
END
$down$;
