-- The irregular forms of a word have the term of the word: broke and broken that of break.

-- Rows that come meanwhile would have the old terms, and so has a table that a re-embedding has built and not put in
-- place: it is built again.
LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- The stem of each irregular form, and the stem of its word.
CREATE FUNCTION vestige_irregular_stems() RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN $${
  "arisen": "aris", "aros": "aris", "ate": "eat", "awok": "awak", "awoken": "awak", "beaten": "beat",
  "becam": "becom", "befallen": "befal", "befel": "befal", "began": "begin", "begun": "begin", "bent": "bend",
  "bitten": "bite", "bled": "bleed", "blew": "blow", "blown": "blow", "bought": "buy", "bred": "breed",
  "broke": "break", "broken": "break", "brought": "bring", "built": "build", "burnt": "burn", "calv": "calf",
  "came": "come", "caught": "catch", "children": "child", "chose": "choos", "chosen": "choos", "clung": "cling",
  "crept": "creep", "crise": "crisi", "criteria": "criterion", "dealt": "deal", "drank": "drink", "drawn": "draw",
  "dreamt": "dream", "drew": "draw", "driven": "drive", "drove": "drive", "drunk": "drink", "dug": "dig",
  "eaten": "eat", "elv": "elf", "fallen": "fall", "fed": "feed", "feet": "foot", "fell": "fall", "felt": "feel",
  "fled": "flee", "flew": "fli", "flown": "fli", "flung": "fling", "forbad": "forbid", "forbidden": "forbid",
  "foresaw": "forese", "foreseen": "forese", "forgav": "forgiv", "forgiven": "forgiv", "forgot": "forget",
  "forgotten": "forget", "fought": "fight", "found": "find", "froze": "freez", "frozen": "freez",
  "fungi": "fungus", "gave": "give", "gees": "goos", "given": "give", "gone": "go", "got": "get", "gotten": "get",
  "grew": "grow", "grown": "grow", "halv": "half", "heard": "hear", "held": "hold", "hid": "hide",
  "hidden": "hide", "hung": "hang", "hypothes": "hypothesi", "kept": "keep", "knelt": "kneel", "knew": "know",
  "knive": "knife", "known": "know", "laid": "lay", "leant": "lean", "leapt": "leap", "learnt": "learn",
  "led": "lead", "left": "leav", "lent": "lend", "lit": "light", "loav": "loaf", "lost": "lose", "made": "make",
  "matric": "matrix", "meant": "mean", "men": "man", "met": "meet", "mice": "mous", "misl": "mislead",
  "misspelt": "misspel", "mistaken": "mistak", "mistook": "mistak", "misunderstood": "misunderstand",
  "nuclei": "nucleus", "outgrew": "outgrow", "outgrown": "outgrow", "overcam": "overcom", "overheard": "overhear",
  "overridden": "overrid", "overrod": "overrid", "overtaken": "overtak", "overthrew": "overthrow",
  "overthrown": "overthrow", "overtook": "overtak", "overwritten": "overwrit", "overwrot": "overwrit",
  "oxen": "ox", "paid": "pay", "peopl": "person", "phenomena": "phenomenon", "ran": "run", "rebuilt": "rebuild",
  "redid": "redo", "redon": "redo", "repaid": "repay", "reran": "rerun", "retaken": "retak",
  "rethought": "rethink", "retook": "retak", "rewritten": "rewrit", "rewrot": "rewrit", "ridden": "ride",
  "risen": "rise", "rode": "ride", "said": "say", "sang": "sing", "sank": "sink", "sat": "sit", "saw": "see",
  "scarv": "scarf", "seen": "see", "sent": "send", "sewn": "sew", "shaken": "shake", "shelv": "shelf",
  "shone": "shine", "shook": "shake", "shot": "shoot", "shown": "show", "shrank": "shrink", "shrunk": "shrink",
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
  "unwound": "unwind", "upheld": "uphold", "went": "go", "wept": "weep", "withdrawn": "withdraw",
  "withdrew": "withdraw", "withheld": "withhold", "withstood": "withstand", "wive": "wife", "woke": "wake",
  "woken": "wake", "wolv": "wolf", "women": "woman", "won": "win", "wore": "wear", "worn": "wear", "wove": "weav",
  "woven": "weav", "written": "write", "wrote": "write", "wrung": "wring"
}$$::jsonb;

-- Terms with those of irregular forms replaced by those of their words, at the same positions.
CREATE FUNCTION vestige_merged_terms(terms tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN vestige_irregular_stems() ?| tsvector_to_array(terms)
    THEN (
      SELECT string_agg(quote_literal(term) || ':' || positions, ' ')::tsvector
      FROM (
        SELECT
          coalesce(vestige_irregular_stems() ->> lexeme, lexeme) AS term,
          string_agg(position::text, ',' ORDER BY position) AS positions
        FROM unnest(terms) AS found (lexeme, places, weights)
        CROSS JOIN LATERAL unnest(places) AS position
        GROUP BY 1
      ) AS merged
    )
  ELSE terms
END;

CREATE OR REPLACE FUNCTION vestige_terms(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_merged_terms(vestige_terms_of_words(vestige_words(body)));

-- The terms of what is stored already, and how common they are: that is counted when the store is next maintained.
UPDATE knowledge_nodes SET content = content
WHERE vestige_irregular_stems() ?| tsvector_to_array(search_vec);
DELETE FROM keyword_statistics;
DELETE FROM keyword_statistics_state;
