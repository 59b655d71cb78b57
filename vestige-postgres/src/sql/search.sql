-- The whole of a search: the keyword leg, the vector leg, their fusion, and the rows. The keyword leg ranks the passages of
-- memories, and takes each memory by its best one.
--
-- $1 terms, $2 their weights           what the text asks for; no terms: no keyword leg
-- $3                                   its phrases and exclusions as a tsquery, for memories of one passage; null: none
-- $4 vector                            null: no vector leg
-- $5 $6 $7 $8                          domains, tags, types, code bases; null: any
-- $9 $10                               created from, created before; null: any
-- $11 $12                              now, elapsed stabilities (minimum retrievability); null: any
-- $13 limit, $14 depth of each leg, $15 k, $16 keyword weight, $17 vector weight; no k: relative scores
-- $18 $19 $20                          the model that the handle is bound to; null: none
-- $21                                  memories from which the vector leg uses the HNSW index
-- $22                                  documents from which common words are no longer counted one by one
-- $23                                  hits from which common words no longer bring candidates
-- $24                                  whether there are phrases or exclusions
-- $25                                  whether the index is expected to find enough that the filter lets through
-- $26                                  whether the code bases are all that is asked of a memory
-- $27                                  the version of the analysis that the terms are of; null: no words are looked for
-- $28                                  how many of the memories are wanted whole
-- $29 $30                              each phrase as a tsquery; what is excluded as one; null: nothing
-- $31                                  sessions; null: any
WITH
-- ---- what the text asks for ----
corpus AS MATERIALIZED (
  SELECT
    coalesce(sum(documents), 0)::float8 AS documents,
    coalesce(sum(documents - passages), 0)::float8 AS memories,
    coalesce(sum(terms)::float8 / nullif(sum(documents), 0)::float8, 0) AS mean_length
  FROM keyword_totals
),
-- Whether the memories have terms of the same analysis; an error where they have not.
analysis AS MATERIALIZED (
  SELECT CASE WHEN $27::int8 IS NULL THEN true ELSE vestige_analysis_is($27) END AS matches
),
admission AS MATERIALIZED (
  SELECT $3::text::tsquery AS query
),
-- Memories that hold each phrase in some passage, one of them in a further one, and nothing excluded in the first.
phrases AS MATERIALIZED (
  SELECT phrase::tsquery AS query, number FROM unnest($29::text[]) WITH ORDINALITY AS asked (phrase, number)
),
spread AS MATERIALIZED (
  SELECT n.id
  FROM (
    SELECT hit.memory_id, array_agg(DISTINCT phrases.number) AS numbers
    FROM phrases
    CROSS JOIN LATERAL (
      SELECT p.memory_id FROM keyword_passages AS p WHERE p.search_vec @@ phrases.query OFFSET 0
    ) AS hit
    GROUP BY hit.memory_id
  ) AS holding
  CROSS JOIN LATERAL (SELECT * FROM knowledge_nodes AS k WHERE k.id = holding.memory_id OFFSET 0) AS n
  WHERE NOT EXISTS (SELECT FROM phrases WHERE number <> ALL (holding.numbers) AND NOT n.search_vec @@ query)
    AND ($30::text IS NULL OR NOT n.search_vec @@ $30::text::tsquery)
),
-- Memories that hold anything excluded in a further passage.
excluded AS MATERIALIZED (
  SELECT memory_id AS id FROM keyword_passages WHERE search_vec @@ $30::text::tsquery
),
-- Whether any memory has further passages.
long AS MATERIALIZED (
  SELECT EXISTS (SELECT FROM keyword_passages) AS memories
),
-- What is searched by words: the first passage of each memory, and the further ones of long memories. `passage` is its
-- number, from 0, and above the lower 32 bits how many further ones the memory has. `beginning` is the first passage.
-- OFFSET 0 keeps the planner from reading all memories beside a few passages; where there are none, their index is not
-- asked. `admitted` says whether phrases, exclusions and the filter let the memory pass.
units AS NOT MATERIALIZED (
  SELECT
    n.id,
    n.passage,
    n.created_at,
    n.search_vec,
    (NOT $24::boolean
      OR (n.beginning @@ (SELECT query FROM admission) OR n.id IN (SELECT id FROM spread))
        AND n.id NOT IN (SELECT id FROM excluded))
      AND ($5::text[] IS NULL OR n.domains && $5)
      AND ($6::text[] IS NULL OR n.tags && $6)
      AND ($7::text[] IS NULL OR n.node_type = ANY ($7))
      AND ($8::text[] IS NULL OR n.codebase = ANY ($8))
      AND ($31::text[] IS NULL OR n.session = ANY ($31))
      AND ($9::timestamptz IS NULL OR n.created_at >= $9)
      AND ($10::timestamptz IS NULL OR n.created_at < $10)
      AND ($12::float8 IS NULL OR NOT EXISTS (
        SELECT FROM scheduling AS s
        WHERE s.memory_id = n.id
          AND (extract(epoch FROM $11::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
            > s.stability * $12
      )) AS admitted
  FROM (
    SELECT
      id, passages::int8 << 32 AS passage, search_vec, search_vec AS beginning,
      created_at, domains, tags, node_type, codebase, session
    FROM knowledge_nodes
    UNION ALL
    SELECT
      m.id, m.passages::int8 << 32 | p.number, p.search_vec, m.search_vec,
      m.created_at, m.domains, m.tags, m.node_type, m.codebase, m.session
    FROM keyword_passages AS p
    CROSS JOIN LATERAL (SELECT * FROM knowledge_nodes AS k WHERE k.id = p.memory_id OFFSET 0) AS m
    WHERE (SELECT memories FROM long)
  ) AS n
),
-- The terms that count. A term is common where the store is large and the statistics know it; how many documents hold
-- any other is counted below.
terms AS MATERIALIZED (
  SELECT
    chosen.term,
    chosen.weight,
    quote_literal(chosen.term)::tsquery AS query,
    CASE WHEN corpus.documents >= $22::float8 THEN round(known.share * corpus.documents) END AS common
  FROM unnest($1::text[], $2::float8[]) AS chosen (term, weight)
  CROSS JOIN corpus
  LEFT JOIN keyword_statistics AS known ON known.term = chosen.term COLLATE "C"
),
-- ---- the keyword leg ----
-- Every occurrence of a rarer term, filtered or not, because rarity is counted over all documents. For a query
-- of one term ts_rank_cd is the sum of the weights of its occurrences, and with normalisation 2 that sum
-- divided by the length of the document.
rare_hits AS MATERIALIZED (
  SELECT
    terms.term,
    hit.id,
    hit.passage,
    hit.created_at,
    hit.admitted,
    CASE WHEN admitted THEN hit.search_vec END AS search_vec,
    CASE WHEN admitted THEN ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', hit.search_vec, terms.query, 0)::float8 END AS frequency,
    CASE WHEN admitted THEN ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', hit.search_vec, terms.query, 2)::float8 END AS density
  FROM terms
  CROSS JOIN LATERAL (
    SELECT
      n.id,
      n.passage,
      n.created_at,
      n.search_vec,
      n.admitted
    FROM units AS n
    WHERE n.search_vec @@ terms.query
    OFFSET 0 -- one scan of the index for each term
  ) AS hit
  WHERE terms.common IS NULL
),
-- Common terms bring candidates in ascending order of their frequency, until there are enough hits.
bringing AS MATERIALIZED (
  SELECT term, query
  FROM (
    SELECT term, query, sum(common) OVER (ORDER BY common, term) - common AS before
    FROM terms
    WHERE common IS NOT NULL
  ) AS ascending
  WHERE before + (SELECT count(*) FROM rare_hits) < $23::float8
),
brought_hits AS MATERIALIZED (
  SELECT bringing.term, hit.*
  FROM bringing
  CROSS JOIN LATERAL (
    SELECT
      n.id,
      n.passage,
      n.created_at,
      n.search_vec,
      ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', n.search_vec, bringing.query, 0)::float8 AS frequency,
      ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', n.search_vec, bringing.query, 2)::float8 AS density
    FROM units AS n
    WHERE n.search_vec @@ bringing.query
      AND n.admitted
    OFFSET 0
  ) AS hit
),
candidates AS MATERIALIZED (
  SELECT DISTINCT ON (id, passage) id, passage, created_at, search_vec
  FROM (
    SELECT id, passage, created_at, search_vec FROM rare_hits WHERE admitted
    UNION ALL
    SELECT id, passage, created_at, search_vec FROM brought_hits
  ) AS hits
),
-- Where that is too few for the leg, the remaining common terms bring candidates too.
remaining AS MATERIALIZED (
  SELECT term, query FROM terms WHERE common IS NOT NULL AND term NOT IN (SELECT term FROM bringing)
),
late_candidates AS MATERIALIZED (
  SELECT n.id, n.passage, n.created_at, n.search_vec
  FROM units AS n
  WHERE (
      (SELECT count(*) FROM candidates) < $14::int8
      OR (SELECT memories FROM long) AND (SELECT count(DISTINCT id) FROM candidates) < $14::int8
    )
    AND n.search_vec @@ (SELECT string_agg(query::text, ' | ')::tsquery FROM remaining)
    AND n.admitted
    AND (n.id, n.passage) NOT IN (SELECT id, passage FROM candidates)
),
-- The terms that brought nothing by themselves still count for what the others brought.
remaining_hits AS MATERIALIZED (
  SELECT
    remaining.term,
    found.id,
    found.passage,
    found.created_at,
    ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', found.search_vec, remaining.query, 0)::float8 AS frequency,
    ts_rank_cd('{0.1, 0.5, 0.5, 1.0}', found.search_vec, remaining.query, 2)::float8 AS density
  FROM (SELECT * FROM candidates UNION ALL SELECT * FROM late_candidates) AS found
  JOIN remaining ON found.search_vec @@ remaining.query
),
rarity AS (
  SELECT
    term,
    -- ln(1 + (N - n + 0.5) / (n + 0.5)), not below 0.001.
    greatest(ln(1 + greatest(corpus.documents - holding + 0.5, 0) / (holding + 0.5)), 1e-3) AS idf
  FROM (
    SELECT term, count(*)::float8 AS holding FROM rare_hits GROUP BY term
    UNION ALL
    SELECT term, least(common, corpus.documents) FROM terms CROSS JOIN corpus WHERE common IS NOT NULL
  ) AS counted
  CROSS JOIN corpus
),
scored AS MATERIALIZED (
  SELECT
    id,
    passage,
    created_at,
    -- BM25 with k1 = 0.4, b = 0.75 and the square of the inverse document frequency.
    round(sum(
      terms.weight * idf * idf
        * (frequency * 1.4 / (frequency + 0.4 * (0.25 + 0.75 * round(frequency / density) / corpus.mean_length)))
    ) * 1e9) / 1e9 AS score
  FROM (
    SELECT term, id, passage, created_at, frequency, density FROM rare_hits WHERE admitted
    UNION ALL
    SELECT term, id, passage, created_at, frequency, density FROM brought_hits
    UNION ALL
    SELECT term, id, passage, created_at, frequency, density FROM remaining_hits
  ) AS hits
  JOIN rarity USING (term)
  JOIN terms USING (term)
  CROSS JOIN corpus
  GROUP BY id, passage, created_at
),
-- Of each memory the best passage, and of equal ones the first. Of more passages one is good by chance:
-- Bm25::memory_score. Where there is none but first passages, each is the best.
matching AS (
  SELECT id, created_at, score, 0 AS number
  FROM scored
  WHERE NOT (SELECT memories FROM long)
  UNION ALL
  SELECT
    id,
    created_at,
    CASE
      WHEN passage >> 32 = 0 THEN score
      ELSE round(score / (1 + 0.05::float8 * ln(((passage >> 32) + 1)::float8)) * 1e9) / 1e9
    END,
    (passage & 4294967295)::integer
  FROM (
    SELECT id, created_at, best[1] AS score, (-best[2])::int8 AS passage
    FROM (
      SELECT id, created_at, max(ARRAY[score, -passage::float8]) AS best
      FROM scored
      WHERE (SELECT memories FROM long)
      GROUP BY id, created_at
    ) AS passages
  ) AS best
),
keyword AS MATERIALIZED (
  SELECT id, score, number, row_number() OVER (ORDER BY score DESC, created_at DESC, id) AS rank
  FROM matching
  ORDER BY score DESC, created_at DESC, id
  LIMIT $14::int8
),
-- ---- the vector leg ----
-- Whether the vector may be compared; an error where it belongs to another model.
model AS MATERIALIZED (
  SELECT vestige_model_matches($18::text, $19::integer, $20::text, cardinality($4::real[])) AS matches
),
-- The vector as pgvector has it, and its squared length: once, where a plan for any parameters would make it for each row.
-- And by how much two distances may be wrong against each other, some five times what was measured: it grows with the
-- number of products that are summed.
asked AS MATERIALIZED (
  SELECT
    $4::real[]::vector AS vector,
    (SELECT sum(b::float8 * b) FROM unnest($4::real[]) AS b) AS square,
    greatest(1e-6, 5e-9 * cardinality($4::real[])) AS rounding
),
-- HNSW serves a query of this shape only: nothing but the filter beside the order and the limit. It holds no memory
-- without a vector; where it is missing, a scan would come upon those too.
near AS MATERIALIZED (
  SELECT n.id, n.embedding <=> (SELECT vector FROM asked) AS distance
  FROM knowledge_nodes AS n
  WHERE $4::real[] IS NOT NULL
    AND (SELECT memories FROM corpus) >= $21::float8
    AND $25::boolean
    AND (SELECT matches FROM model)
    AND n.embedding IS NOT NULL
    AND (NOT $24::boolean
      OR (n.search_vec @@ (SELECT query FROM admission) OR n.id IN (SELECT id FROM spread))
        AND n.id NOT IN (SELECT id FROM excluded))
    AND ($5::text[] IS NULL OR n.domains && $5)
    AND ($6::text[] IS NULL OR n.tags && $6)
    AND ($7::text[] IS NULL OR n.node_type = ANY ($7))
    AND ($8::text[] IS NULL OR n.codebase = ANY ($8))
    AND ($31::text[] IS NULL OR n.session = ANY ($31))
    AND ($9::timestamptz IS NULL OR n.created_at >= $9)
    AND ($10::timestamptz IS NULL OR n.created_at < $10)
    AND ($12::float8 IS NULL OR NOT EXISTS (
      SELECT FROM scheduling AS s
      WHERE s.memory_id = n.id
        AND (extract(epoch FROM $11::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
          > s.stability * $12
    ))
  ORDER BY n.embedding <=> (SELECT vector FROM asked)
  LIMIT $14::int8
),
-- Where code bases are all that is asked of a memory, everything that is compared lies in the index of their vectors:
-- asked about any other column, a plan for any parameters would go to the rows.
in_codebases AS MATERIALIZED (
  SELECT n.id, (n.embedding <=> (SELECT vector FROM asked)) + 0 AS distance
  FROM knowledge_nodes AS n
  WHERE $4::real[] IS NOT NULL
    AND $26::boolean
    AND (SELECT count(*) FROM near) < $14::int8
    AND (SELECT matches FROM model)
    AND n.embedding IS NOT NULL
    AND n.codebase = ANY ($8::text[])
  -- The index does not have the time. Ids of version 7 ascend with it.
  ORDER BY distance, id DESC
  LIMIT $14::int8 + 64
),
-- Every matching row: where that was chosen, and where the index came back with fewer than were asked for. Some more
-- than were asked for, in case they turn out to be equal to the last. No index has this order: by HNSW's the planner
-- would get what HNSW happens to find. Those whose passages hold the phrases together
-- come by themselves, so that the index of words serves the rest.
exact AS MATERIALIZED (
  SELECT n.id, (n.embedding <=> (SELECT vector FROM asked)) + 0 AS distance
  FROM (
    SELECT id, embedding, created_at, domains, tags, node_type, codebase, session
    FROM knowledge_nodes
    WHERE NOT $24::boolean OR search_vec @@ (SELECT query FROM admission)
    UNION ALL
    SELECT m.id, m.embedding, m.created_at, m.domains, m.tags, m.node_type, m.codebase, m.session
    FROM spread
    CROSS JOIN LATERAL (SELECT * FROM knowledge_nodes AS k WHERE k.id = spread.id OFFSET 0) AS m
    WHERE $24::boolean AND NOT m.search_vec @@ (SELECT query FROM admission)
  ) AS n
  WHERE $4::real[] IS NOT NULL
    AND NOT $26::boolean
    AND (SELECT count(*) FROM near) < $14::int8
    AND (SELECT matches FROM model)
    AND n.embedding IS NOT NULL
    AND (NOT $24::boolean OR n.id NOT IN (SELECT id FROM excluded))
    AND ($5::text[] IS NULL OR n.domains && $5)
    AND ($6::text[] IS NULL OR n.tags && $6)
    AND ($7::text[] IS NULL OR n.node_type = ANY ($7))
    AND ($8::text[] IS NULL OR n.codebase = ANY ($8))
    AND ($31::text[] IS NULL OR n.session = ANY ($31))
    AND ($9::timestamptz IS NULL OR n.created_at >= $9)
    AND ($10::timestamptz IS NULL OR n.created_at < $10)
    AND ($12::float8 IS NULL OR NOT EXISTS (
      SELECT FROM scheduling AS s
      WHERE s.memory_id = n.id
        AND (extract(epoch FROM $11::timestamptz - s.last_review) * 1000000)::float8 / 86400e6::float8
          > s.stability * $12
    ))
  ORDER BY distance, created_at DESC, id
  LIMIT $14::int8 + 64
),
-- pgvector sums in single precision. Where two distances are so close that this may decide between them, and for the
-- first and the last, on whose scale the others are, the similarity is computed again in double precision.
close AS MATERIALIZED (
  SELECT
    id,
    distance,
    coalesce(distance - lag(distance) OVER nearest_first < (SELECT rounding FROM asked), true)
      OR coalesce(lead(distance) OVER nearest_first - distance < (SELECT rounding FROM asked), true)
      OR row_number() OVER nearest_first = $14::int8 AS doubtful
  FROM (
    SELECT id, distance FROM near WHERE (SELECT count(*) FROM near) >= $14::int8
    UNION ALL
    SELECT id, distance FROM in_codebases
    UNION ALL
    SELECT id, distance FROM exact
  ) AS measured
  WINDOW nearest_first AS (ORDER BY distance, id)
),
meaning AS MATERIALIZED (
  SELECT id, similarity, row_number() OVER (ORDER BY similarity DESC, created_at DESC, id) AS rank
  FROM (
    SELECT
      id,
      similarity,
      -- The time decides only between equal ones.
      CASE
        WHEN similarity = lag(similarity) OVER nearest_first OR similarity = lead(similarity) OVER nearest_first
          THEN (SELECT n.created_at FROM knowledge_nodes AS n WHERE n.id = measured.id)
      END AS created_at
    FROM (
      SELECT
        id,
        CASE
          WHEN NOT doubtful THEN 1 - distance
          ELSE (
            SELECT round(sum(a::float8 * b) / sqrt(sum(a::float8 * a) * (SELECT square FROM asked)) * 1e9) / 1e9
            FROM (SELECT unnest(n.embedding::real[]) AS a, unnest($4::real[]) AS b FROM knowledge_nodes AS n WHERE n.id = close.id)
          )
        END AS similarity
      FROM close
    ) AS measured
    WINDOW nearest_first AS (ORDER BY similarity DESC)
  ) AS timed
  ORDER BY similarity DESC, created_at DESC, id
  LIMIT $14::int8
),
-- ---- both legs ----
scale AS MATERIALIZED (
  SELECT
    (SELECT max(score) FROM keyword) AS best_keyword,
    max(similarity) AS best_vector,
    min(similarity) AS last_vector,
    count(*) AS found_vectors,
    -- What counts nothing, as FusionScale has it.
    least(
      min(similarity),
      max(similarity) * (0.5::float8 + 0.5::float8 * least(count(*)::float8 / $14::int8::float8, 1))
    ) AS vector_floor
  FROM meaning
),
best AS MATERIALIZED (
  SELECT *, row_number() OVER (ORDER BY score DESC, created_at DESC, id) AS place
  FROM (
    SELECT
      *,
      CASE
        WHEN score = lag(score) OVER best_first OR score = lead(score) OVER best_first
          THEN (SELECT n.created_at FROM knowledge_nodes AS n WHERE n.id = fused.id)
      END AS created_at
    FROM (
      SELECT
        id,
        CASE
          WHEN $4::real[] IS NULL THEN keyword.score
          WHEN NOT EXISTS (SELECT FROM terms) THEN meaning.similarity
          WHEN $15::float8 IS NULL THEN
            CASE
              WHEN keyword.rank IS NULL THEN 0
              ELSE $16::float8 * coalesce(keyword.score / nullif(best_keyword, 0), 1)
            END
            + CASE
              WHEN meaning.rank IS NULL THEN 0
              ELSE $17::float8 * coalesce((meaning.similarity - vector_floor) / nullif(best_vector - vector_floor, 0), 1)
            END
          ELSE coalesce($16::float8 / ($15::float8 + keyword.rank), 0)
            + coalesce($17::float8 / ($15::float8 + meaning.rank), 0)
        END AS score,
        keyword.score AS fts_score,
        keyword.rank AS fts_rank,
        keyword.number,
        meaning.rank AS vector_rank
      FROM keyword
      FULL JOIN meaning USING (id)
      CROSS JOIN scale
    ) AS fused
    WINDOW best_first AS (ORDER BY score DESC)
  ) AS found
  ORDER BY score DESC, created_at DESC, id
  LIMIT $13::int8
)
SELECT
  n.id,
  -- Of those beyond what was asked for, only what lending needs: 32 characters tell whether a text asks.
  CASE WHEN best.place <= $28::int8 THEN n.content ELSE right(n.content, 32) END AS "content!",
  n.node_type, n.tags,
  CASE WHEN best.place <= $28::int8 THEN n.metadata ELSE '{}' END AS "metadata!",
  best.place <= $28::int8 AS "is_whole!",
  n.domains,
  n.domain_scores AS "domain_scores: _",
  -- As pgvector sends it: an array of as many numbers takes the server longer to make than all else of fifty rows. Of those
  -- beyond what was asked for, only what the score needs.
  CASE WHEN best.place <= $28::int8 OR best.vector_rank IS NOT NULL THEN vector_send(n.embedding) END AS embedding,
  n.codebase, n.owner_user_id, n.visibility, n.shared_with_groups, n.created_at, n.updated_at, n.session,
  -- Null where the similarity alone is the score, which the caller measures in double precision.
  CASE WHEN $4::real[] IS NULL OR EXISTS (SELECT FROM terms) THEN best.score END AS score,
  best.fts_score, best.fts_rank, best.vector_rank,
  -- Which passage matches best, where there are several.
  CASE WHEN n.passages > 0 THEN best.number::int4 END AS passage,
  scale.best_keyword, scale.best_vector, scale.last_vector, scale.found_vectors AS "found_vectors!",
  EXISTS (SELECT FROM knowledge_nodes AS m WHERE m.session IS NOT NULL) AS "has_sessions!"
FROM best
CROSS JOIN scale
JOIN knowledge_nodes AS n USING (id)
-- Asked before anything else, because an empty table or leg need not have asked.
WHERE (SELECT matches FROM analysis)
  AND ($4::real[] IS NULL OR (SELECT matches FROM model) IS NOT NULL)
ORDER BY best.place
