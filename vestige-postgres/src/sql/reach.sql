-- What the server is told of a question whose filter lets about $1 memories through, where $2 of them are wanted.
--
-- $1 memories, $2 wanted
-- $3 how far the HNSW index looks at least, $4 vectors compared in the time in which it visits one
-- $5 $6                                the settings of a plan for any parameters; empty: not for this question
-- $7                                   the share of all memories from which such a plan will do
-- $8                                   memories from which a word can be common; below, such a plan does for any share
--
-- What lies nearest is looked at without regard to the filter, three times as many as hold those wanted if the
-- filter were drawn by lot. Where they hold too few, it keeps away from the question, and a scan of all that match
-- follows. Reading on from there instead would soon return whatever it met, not what is nearest.
SELECT
  reach::integer AS "ef_search!",
  1000 * matching >= 1.5 * $2::float8 * memories AND matching > $4::float8 * reach AS "by_index!",
  set_config('hnsw.ef_search', reach::integer::text, true) AS told,
  set_config('hnsw.iterative_scan', 'off', true) AS once,
  (
    SELECT count(set_config(name, value, true))
    FROM unnest($5::text[], $6::text[]) AS planning (name, value)
    WHERE matching >= $7::float8 * memories OR memories < $8::float8
  ) AS planned
FROM (
  SELECT matching, memories, least(1000, greatest($3::integer, ceil(3 * $2::float8 * memories / matching))) AS reach
  FROM (
    SELECT coalesce(sum(documents), 0)::float8 AS memories, greatest($1::float8, 1) AS matching FROM keyword_totals
  ) AS counted
) AS estimated
