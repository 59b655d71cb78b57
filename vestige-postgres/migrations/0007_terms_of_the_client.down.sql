-- In one statement, so that the locks are held to the end without a transaction around it, as under `psql -f`.
DO $down$
BEGIN
LOCK TABLE reembedding, keyword_statistics IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

CREATE OR REPLACE FUNCTION vestige_count_inserted() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  PERFORM vestige_count_documents(count(*), coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM new_rows;
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
  RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION vestige_count_none() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
  DELETE FROM keyword_totals;
  RETURN NULL;
END
$$;

ALTER FUNCTION vestige_count_deleted() RESET search_path;
DROP FUNCTION vestige_accept_terms(tsvector, bigint);
DROP FUNCTION vestige_analysis_is(bigint);
DROP FUNCTION vestige_refuse_analysis(bigint);
DROP TABLE unanalyzed_memories;
DROP TABLE keyword_analysis;

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

CREATE FUNCTION vestige_words(body text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(left(body, 100000)) = length(left(body, 100000))
    THEN regexp_replace(lower(left(body, 100000) COLLATE pg_c_utf8), '[^a-z0-9]+', ' ', 'g')
  ELSE replace(vestige_words_unicode(left(body, 100000)), U&'\03C2', U&'\03C3')
END;

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

CREATE FUNCTION vestige_terms_of_words(words text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN octet_length(words) = length(words) AND words !~ '(^| )[0-9]+e[0-9]+[a-z]'
    THEN to_tsvector('pg_catalog.english', words)
  ELSE vestige_terms_by_word(words)
END;

CREATE FUNCTION vestige_replaced_stems() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $${
  "analys": "analysi", "appendic": "appendix", "aren": null, "arisen": "aris", "aros": "aris", "ate": "eat",
  "automata": "automaton", "awok": "awak", "awoken": "awak", "beaten": "beat", "becam": "becom",
  "befallen": "befal", "befel": "befal", "began": "begin", "begun": "begin", "bent": "bend", "bitten": "bite",
  "bled": "bleed", "blew": "blow", "blown": "blow", "bought": "buy", "bred": "breed", "broke": "break",
  "broken": "break", "brought": "bring", "built": "build", "burnt": "burn", "calv": "calf", "came": "come",
  "cannot": null, "caught": "catch", "children": "child", "chose": "choos", "chosen": "choos", "clung": "cling",
  "couldn": null, "crept": "creep", "crise": "crisi", "criteria": "criterion", "dealt": "deal",
  "diagnos": "diagnosi", "didn": null, "doesn": null, "drank": "drink", "drawn": "draw", "dreamt": "dream",
  "drew": "draw", "driven": "drive", "drove": "drive", "drunk": "drink", "dug": "dig", "eaten": "eat",
  "elv": "elf", "fallen": "fall", "fed": "feed", "feet": "foot", "fell": "fall", "felt": "feel", "fled": "flee",
  "flew": "fli", "flown": "fli", "flung": "fling", "forbad": "forbid", "forbidden": "forbid", "foresaw": "forese",
  "foreseen": "forese", "forgav": "forgiv", "forgiven": "forgiv", "forgot": "forget", "forgotten": "forget",
  "fought": "fight", "found": "find", "froze": "freez", "frozen": "freez", "fungi": "fungus", "gave": "give",
  "gees": "goos", "given": "give", "gone": "go", "got": "get", "gotten": "get", "grew": "grow", "grown": "grow",
  "hadn": null, "halv": "half", "hasn": null, "heard": "hear", "held": "hold", "hid": "hide", "hidden": "hide",
  "hung": "hang", "hypothes": "hypothesi", "isn": null, "kept": "keep", "knelt": "kneel", "knew": "know",
  "knive": "knife", "known": "know", "laid": "lay", "leant": "lean", "leapt": "leap", "learnt": "learn",
  "lent": "lend", "lit": "light", "loav": "loaf", "lost": "lose", "made": "make", "matric": "matrix",
  "meant": "mean", "men": "man", "met": "meet", "mice": "mous", "misl": "mislead", "misspelt": "misspel",
  "mistaken": "mistak", "mistook": "mistak", "misunderstood": "misunderstand", "mustn": null, "nuclei": "nucleus",
  "outgrew": "outgrow", "outgrown": "outgrow", "outran": "outrun", "overcam": "overcom", "overheard": "overhear",
  "overlaid": "overlay", "overran": "overrun", "overridden": "overrid", "overrod": "overrid", "oversaw": "overse",
  "overseen": "overse", "overshot": "overshoot", "overtaken": "overtak", "overthrew": "overthrow",
  "overthrown": "overthrow", "overtook": "overtak", "overwritten": "overwrit", "overwrot": "overwrit",
  "oxen": "ox", "paid": "pay", "parenthes": "parenthesi", "phenomena": "phenomenon", "prebuilt": "prebuild",
  "radii": "radius", "ran": "run", "rebuilt": "rebuild", "redid": "redo", "redon": "redo", "redrawn": "redraw",
  "redrew": "redraw", "remad": "remak", "repaid": "repay", "reran": "rerun", "retaken": "retak",
  "rethought": "rethink", "rethrew": "rethrow", "rethrown": "rethrow", "retook": "retak", "rewritten": "rewrit",
  "rewrot": "rewrit", "ridden": "ride", "risen": "rise", "rode": "ride", "said": "say", "sang": "sing",
  "sank": "sink", "sat": "sit", "saw": "see", "scarv": "scarf", "schemata": "schema", "seen": "see",
  "sent": "send", "sewn": "sew", "shaken": "shake", "shelv": "shelf", "shone": "shine", "shook": "shake",
  "shot": "shoot", "shouldn": null, "shown": "show", "shrank": "shrink", "shrunk": "shrink", "shrunken": "shrink",
  "slept": "sleep", "slid": "slide", "slung": "sling", "smelt": "smell", "sold": "sell", "sought": "seek",
  "sown": "sow", "sped": "speed", "spelt": "spell", "spent": "spend", "spilt": "spill", "spoilt": "spoil",
  "spoke": "speak", "spoken": "speak", "sprang": "spring", "sprung": "spring", "spun": "spin", "stank": "stink",
  "stole": "steal", "stolen": "steal", "stood": "stand", "stricken": "strike", "striven": "strive",
  "strove": "strive", "struck": "strike", "stuck": "stick", "stung": "sting", "stunk": "stink", "sung": "sing",
  "sunk": "sink", "swam": "swim", "swept": "sweep", "swollen": "swell", "swore": "swear", "sworn": "swear",
  "swum": "swim", "swung": "swing", "taken": "take", "taught": "teach", "teeth": "tooth", "thiev": "thief",
  "thought": "think", "threw": "throw", "thrown": "throw", "told": "tell", "took": "take", "tore": "tear",
  "torn": "tear", "trod": "tread", "trodden": "tread", "undergon": "undergo", "understood": "understand",
  "undertaken": "undertak", "undertook": "undertak", "underw": "undergo", "undid": "undo", "undon": "undo",
  "unfroz": "unfreez", "unfrozen": "unfreez", "unwound": "unwind", "upheld": "uphold", "ve": null, "wasn": null,
  "went": "go", "wept": "weep", "weren": null, "withdrawn": "withdraw", "withdrew": "withdraw",
  "withheld": "withhold", "withstood": "withstand", "wive": "wife", "woke": "wake", "woken": "wake",
  "wolv": "wolf", "women": "woman", "wore": "wear", "worn": "wear", "wouldn": null, "wove": "weav",
  "woven": "weav", "written": "write", "wrote": "write", "wrung": "wring"
}$$::jsonb;

CREATE FUNCTION vestige_terms_with_replaced(terms tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
  SELECT coalesce(string_agg(quote_literal(term) || ':' || places, ' '), '')::tsvector
  FROM (
    SELECT term, string_agg(position || weight, ',') AS places
    FROM unnest(terms) AS found (lexeme, positions, weights)
    CROSS JOIN LATERAL (
      SELECT CASE WHEN vestige_replaced_stems() ? lexeme THEN vestige_replaced_stems() ->> lexeme ELSE lexeme END AS term
    ) AS replaced
    CROSS JOIN LATERAL unnest(positions, weights) AS place (position, weight)
    WHERE term IS NOT NULL
    GROUP BY term
  ) AS merged
);

CREATE FUNCTION vestige_replaced_terms(terms tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN vestige_replaced_stems() ?| tsvector_to_array(terms) THEN vestige_terms_with_replaced(terms)
  ELSE terms
END;

CREATE FUNCTION vestige_terms(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_replaced_terms(vestige_terms_of_words(vestige_words(body)));

CREATE FUNCTION vestige_search_vec(content text, node_type text, tags text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_replaced_terms(
  setweight(vestige_terms_of_words(vestige_words(array_to_string(tags, ' '))), 'C')
  || setweight(vestige_terms_of_words(vestige_words(node_type)), 'B')
  || setweight(vestige_terms_of_words(vestige_words(content)), 'A')
);

-- A column gets an expression only when it is made, which writes the table anew, and fires no trigger.
ALTER TABLE knowledge_nodes DROP COLUMN search_vec;
ALTER TABLE knowledge_nodes
  ADD COLUMN search_vec tsvector GENERATED ALWAYS AS (vestige_search_vec(content, node_type, tags)) STORED;
CREATE INDEX idx_knowledge_nodes_search_vec ON knowledge_nodes USING gin (search_vec);
DELETE FROM keyword_totals;
PERFORM vestige_count_documents(count(*), coalesce(sum(vestige_length(search_vec)), 0)::bigint) FROM knowledge_nodes;
DELETE FROM keyword_statistics;
DELETE FROM keyword_statistics_state;
END
$down$;
