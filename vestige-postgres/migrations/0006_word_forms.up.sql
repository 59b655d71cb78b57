-- Irregular forms of a word have the term of the word, broke and broken that of break; what an apostrophe cuts off a stop
-- word, as in didn't, has none.

-- Rows that come meanwhile would have the old terms, and so has a table that a re-embedding has built and not put in
-- place: it is built again. One that is being built, and statistics that are being made, are waited for first.
LOCK TABLE reembedding, keyword_statistics IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN SHARE ROW EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- The stems that another takes the place of, or nothing.
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

-- Terms with these replaced, at the same positions and in the same fields.
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

-- The same; most texts have none of them, and are as they are at little cost.
CREATE FUNCTION vestige_replaced_terms(terms tsvector) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE
  WHEN vestige_replaced_stems() ?| tsvector_to_array(terms) THEN vestige_terms_with_replaced(terms)
  ELSE terms
END;

CREATE OR REPLACE FUNCTION vestige_terms(body text) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_replaced_terms(vestige_terms_of_words(vestige_words(body)));

-- Once for a memory, not for each of its fields.
CREATE OR REPLACE FUNCTION vestige_search_vec(content text, node_type text, tags text[]) RETURNS tsvector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vestige_replaced_terms(
  setweight(vestige_terms_of_words(vestige_words(array_to_string(tags, ' '))), 'C')
  || setweight(vestige_terms_of_words(vestige_words(node_type)), 'B')
  || setweight(vestige_terms_of_words(vestige_words(content)), 'A')
);

-- The terms of what is stored already. How common they are is counted anew when it is next looked at.
UPDATE knowledge_nodes SET content = content
WHERE vestige_replaced_stems() ?| tsvector_to_array(search_vec);
DELETE FROM keyword_statistics;
DELETE FROM keyword_statistics_state;
