use super::*;

fn terms(text: &str) -> Vec<String> {
    Analyzer::default().terms(text).into_iter().map(|term| term.text).collect()
}

fn at_positions(text: &str) -> Vec<String> {
    Analyzer::default().terms(text).iter().map(|term| format!("{}:{}", term.position, term.text)).collect()
}

fn asked(question: &str) -> Vec<String> {
    let asked = Analyzer::default().query(question).terms;
    asked.into_iter().map(|term| format!("{} {}", term.text, term.weight)).collect()
}

fn document(text: &str) -> AnalyzedDocument {
    AnalyzedDocument::new(&Analyzer::default(), text, "", &[])
}

/// Whether a question finds a memory.
fn finds(question: &str, memory: &str) -> bool {
    let (query, document) = (Analyzer::default().query(question), document(memory));
    query.admits(std::slice::from_ref(&document))
        && query.terms.iter().any(|term| document.frequency(&term.text) > 0.0)
}

#[test]
fn english_words_are_folded_and_stemmed() {
    assert_eq!(terms("Running CAFÉS, naïvely; don't"), ["run", "cafe", "naiv"]);
    assert_eq!(terms("ﬁle ㎏ 4²"), ["file", "kg", "42"]);
    assert_eq!(terms("add added adding adds"), ["add"; 4]);
    assert_eq!(terms("break breaks breaking broke broken"), ["break"; 5]);
    assert_eq!(terms("it doesn't build, we've seen why; it cannot"), ["build", "see"]);
    assert_eq!(terms("it won't, we'll see"), ["won", "ll", "see"], "these are words, too");
}

#[test]
fn words_of_one_look_stay_apart() {
    for (one, other) in
        [("people", "personal"), ("won", "win"), ("left", "leaves"), ("LEDs", "leads"), ("ranges", "rings")]
    {
        assert_ne!(terms(one), terms(other), "{one}, {other}");
    }
}

#[test]
fn each_irregular_form_has_one_word() {
    let words = stems::IRREGULAR_FORMS.split(';').map(|forms| forms.split_whitespace().collect::<Vec<_>>());
    let words: Vec<Vec<&str>> = words.collect();
    assert!(words.is_sorted_by_key(|forms| forms[0]));
    let all = || words.iter().flatten();
    for form in all() {
        assert_eq!(terms(&format!("it {form}")).len(), 1, "{form} is a stop word");
        assert_eq!(all().filter(|other| *other == form).count(), 1, "{form}");
    }
    for forms in &words {
        let word = stems::regular(forms[0]);
        assert_eq!(stems::english(forms[0]), word, "{forms:?}: a form of another word");
    }
}

#[test]
fn the_short_cut_of_the_english_stemmer_changes_no_word() {
    let words = fingerprint::SAMPLES.split(|c: char| !c.is_ascii_lowercase()).filter(|word| !word.is_empty());
    let endings = "a al ance ant ate ation ative ed eed eedly edly ement en ence enci ent er est ful fulness ible ic \
        ical iciti icate ing ingly ion ism ist iti ity ive ize izer l less li ll ly ment ness ogi or ous ousli s t \
        tional y yi z";
    for word in words {
        for ending in endings.split_whitespace().chain([""]) {
            let word = format!("{word}{ending}");
            if stems::keeps_its_form(word.as_bytes()) {
                assert_eq!(stems::regular(&word), word);
            }
        }
    }
}

#[test]
fn spellings_of_a_letter_are_one() {
    for (one, other) in [
        ("Straße", "STRASSE"),
        ("İstanbul", "istanbul"),
        ("ısı", "ISI"),
        ("Łódź", "lodz"),
        ("smørrebrød", "smorrebrod"),
        ("Đà Nẵng", "da nang"),
        ("œuvre æon", "oeuvre aeon"),
        ("ΣΊΣΥΦΟΣ", "σισυφος"),
        ("ёлка", "елка"),
        ("כָּתַב", "כתב"),
        ("كِتَاب", "كتاب"),
        ("كتـــاب", "كتاب"),
        ("أحمد إلى", "احمد الي"),
        ("کتابی", "كتابي"),
        ("ｶﾞｲﾄﾞ", "ガイド"),
        ("か\u{3099}", "が"),
        ("한글", "한글"),
        ("１２３ ١٢٣ १२३", "123 123 123"),
        ("co\u{ad}op\u{200b}erate \u{feff}bom", "cooperate bom"),
        ("x\u{fe0f}y\u{2060}z", "xyz"),
    ] {
        let (one_has, other_has) = (terms(one), terms(other));
        assert!(other_has.iter().all(|term| one_has.contains(term)), "{one_has:?}, {other_has:?}");
    }
    for (one, other) in [("мой", "мои"), ("їх", "іх"), ("गुर", "गुरु"), ("มา", "ม้า")]
    {
        assert!(!finds(one, other) && !finds(other, one), "{one}, {other}");
    }
}

#[test]
fn inert_characters_are_those_that_nfkc_leaves_alone() {
    use unicode_normalization::UnicodeNormalization;
    for c in ('\0'..='\u{ffff}').filter(|c| fold::is_inert(*c)) {
        assert!([c].into_iter().nfkc().eq([c]), "{c:?}");
        assert!(['a', c].into_iter().nfkc().eq(['a', c]), "{c:?}");
    }
}

#[test]
fn a_mark_does_not_split_a_word() {
    for word in ["हिन्दी", "ক্ষমতা", "தமிழ்நாடு", "ಕನ್ನಡ", "ศรี".split_at(3).0, "क्\u{200d}ष"]
    {
        assert_eq!(document(word).fields[0].last().unwrap().position, 1, "{word}");
    }
}

#[test]
fn scripts_without_spaces_are_pairs_and_characters() {
    assert_eq!(at_positions("東京都"), ["1:東京", "1:東", "2:京都", "2:京", "3:都"]);
    assert_eq!(at_positions("ไทย ที่"), ["1:ไท", "1:ไ", "2:ทย", "2:ท", "3:ย", "4:ที่"]);
    assert_eq!(at_positions("ខ្មែរ"), ["1:ខ្មែរ", "1:ខ្មែ", "2:រ"]);
    assert_eq!(terms("重跑gen-itgc后清零").iter().filter(|term| term.is_ascii()).count(), 3);
    assert_eq!(asked("東京都"), ["東京 1", "京都 1"]);
    assert_eq!(asked("猫"), ["猫 1"]);
    assert_eq!(asked("食べる"), ["食べ 1", "食 0.25", "べる 1"]);
    assert_eq!(asked("数据库重启").iter().filter(|term| term.ends_with("0.25")).count(), 5);
    assert!(finds("\"東京 大阪\"", "東京大阪") && !finds("\"大阪 東京\"", "東京大阪"));
    assert!(finds("東京 -大阪", "東京の人") && !finds("東京 -大阪", "東京と大阪"));
    assert!(!finds("北臺", "臺北"));
}

#[test]
fn compounds_have_parts_and_wholes_by_levels() {
    assert_eq!(at_positions("get_user"), ["1:get", "1:getus", "2:user"]);
    assert_eq!(at_positions("getUser"), ["1:getus", "1:get", "1:user"]);
    assert_eq!(
        at_positions("k-b.c/d-e"),
        ["1:k", "1:kb", "1:kbc", "1:kbcde", "2:b", "3:c", "4:d", "4:de", "5:e"]
    );
    assert_eq!(terms("parseHTMLResponse"), ["parsehtmlrespons", "pars", "html", "respons"]);
    assert_eq!(terms("URLs"), ["url"]);
    assert_eq!(terms("python3 v2 16gb"), ["python3", "python", "3", "v2", "16gb"]);
    assert_eq!(asked("port5433"), ["port5433 1"]);
    assert_eq!(at_positions("1.23"), ["1:1", "1:1.23", "2:23"]);
    for date in ["2026-11-30", "2026/11/30", "2026.11.30"] {
        assert!(terms(date).contains(&"2026.11.30".to_owned()), "{date}");
    }
    assert!(terms("1_000").contains(&"1000".to_owned()));
    assert!(terms("v1.2.3").contains(&"1.2.3".to_owned()));
    assert_eq!(at_positions("foo--bar a - b"), ["1:foo", "2:bar", "4:b"]);
}

#[test]
fn signs_make_other_words() {
    let all = "C C++ C# F# .NET c# c++17";
    assert_eq!(terms(all), ["c", "c++", "c#", "f#", ".net", "net", "c#", "c++", "c++17", "17"]);
    assert_eq!(terms("(.gitignore) end. .env ...x"), [".gitignore", "gitignor", "end", ".env", "env", "x"]);
    assert_eq!(terms("a+b # foo# C#m ++"), ["b", "foo", "c", "m"]);
}

#[test]
fn every_prefix_of_a_hash_from_seven_digits_finds_it() {
    let hash = "3f9d2ab07c64e1";
    for digits in 7..=hash.len() {
        assert!(finds(&hash[..digits], &format!("fixed in {hash}")), "{digits}");
    }
    assert!(!finds(&hash[..6], hash) && !finds("3f9d2ac", hash));
    assert_eq!(terms("12345678 deadbeef"), ["12345678", "deadbeef"], "no hash, perhaps");
    assert!(finds("1234567", "12345678ab") && finds("DEADBEE", "deadbeef01"));
}

#[test]
fn a_guessed_language_adds_its_stem_and_first_letters() {
    assert_eq!(terms("die Regierungen"), ["die", "regierungen"], "one word may be chance");
    let german = at_positions("Wo sind die Regierungen?");
    assert_eq!(german, ["1:wo", "2:sind", "3:die", "4:*regier", "4:regier", "4:regierungen", "4:regier*"]);
    assert_eq!(
        asked("Wer sind die Regierungen?"),
        ["*regier 0.25", "regier 1", "regierungen 0.25", "regier* 0.5"]
    );
    assert_eq!(asked("Regierungen"), ["regierungen 1", "regier* 0.25"], "the language is unknown");
    assert_eq!(asked("the Regierungen"), ["regierungen 1"]);
    assert_eq!(asked("Where is the database?"), ["databas 1"]);
    assert_eq!(
        asked("khả năng của người"),
        ["khả 1", "kha 0.25", "năng 1", "nang 0.25", "người 1", "nguoi 0.25"]
    );
    for (question, memory) in [
        ("Regierung", "Die Regierungen sind nicht gewählt"),
        ("informaciones", "la información no está en el archivo"),
        ("możliwość", "nie ma możliwości"),
        ("перезапуск сервера", "Сервер базы данных перезапускается"),
        ("κυβέρνηση", "των κυβερνήσεων"),
        ("مكتبة", "والمكتبات في المدينة"),
    ] {
        assert!(finds(question, memory), "{question}: {:?}, {:?}", asked(question), terms(memory));
    }
}

#[test]
fn stop_words_are_a_question_where_there_is_nothing_else() {
    assert_eq!(terms("Will the report of IT come?"), ["will", "report", "it", "come"]);
    assert_eq!(terms("to be or not to be"), ["to", "be", "or", "not", "to", "be"]);
    assert_eq!(asked("The Who"), ["the 1", "who 1"]);
    assert_eq!(asked("what is IT department"), ["depart 1"]);
    assert!(
        finds("IT", "Ask IT about it") && finds("Will", "Will called") && !finds("IT", "ask about it then")
    );
    assert!(asked("кто это").len() == 2 && asked("кто такой Бим") == ["бим 1"]);
}

#[test]
fn emoji_are_terms() {
    assert_eq!(terms("done 🎉👍🏽 ❤️ 🇩🇪 👩‍💻 → •"), ["done", "🎉", "👍🏽", "👍", "❤", "🇩🇪", "👩\u{200d}💻", "👩"]);
    assert!(
        finds("🎉", "we shipped 🎉")
            && !finds("🎉", "we shipped 👍")
            && !finds("shipped -🎉", "we shipped 🎉")
    );
    assert!(finds("㎏", "5 kg") && finds("℃", "°C") && finds("⽬", "目的"));
    assert!(finds("👍", "👍🏽") && finds("👍🏽", "👍"));
}

#[test]
fn a_phrase_is_of_own_terms_or_of_a_whole() {
    let phrase = |text: &str| Analyzer::default().query(text).required;
    let row =
        |phrase: &Phrase| phrase.terms.iter().map(|term| term.text.clone()).collect::<Vec<_>>().join(" ");
    let get = phrase("\"get_user_profile\"");
    assert_eq!(
        (row(&get[0]), get[0].whole.as_deref()),
        ("get user profil".to_owned(), Some("getuserprofil"))
    );
    assert_eq!(phrase("\"get user\"")[0].whole, None);
    assert_eq!(phrase("\"the who\""), []);
    assert_eq!(row(&phrase("\"to-do\"")[0]), "todo");
    assert!(
        finds("\"get_user_profile\"", "call getUserProfile()")
            && finds("\"getUserProfile\"", "get-user-profile")
    );
    assert!(
        finds("\"connection pool\"", "connection_pool") && !finds("\"pool connection\"", "connection_pool")
    );
    assert!(finds("\"Regierung sind\"", "die Regierung sind nicht"));
    assert!(!finds("profile -getUser", "profile get_user") && finds("profile -getUser", "profile user"));
}

#[test]
fn terms_hold_what_both_indexes_can_hold() {
    for text in fingerprint::SAMPLES.lines() {
        for term in terms(text) {
            let is_plain =
                |c: char| !c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit() || "+#.*".contains(c);
            assert!(term.chars().all(|c| is_plain(c) && !c.is_whitespace()), "{term:?}");
        }
    }
}

#[test]
fn terms_are_in_the_order_of_positions_and_different() {
    for text in fingerprint::SAMPLES.lines() {
        let terms = Analyzer::default().terms(text);
        assert_eq!(terms, Analyzer::default().terms(text));
        assert!(terms.is_sorted_by_key(|term| term.position));
        for (n, term) in terms.iter().enumerate() {
            assert!(!terms[..n].contains(term), "{term:?} twice in {text}");
        }
    }
}

#[test]
fn a_text_is_found_by_each_of_its_words() {
    for text in fingerprint::SAMPLES.lines() {
        for word in text.split_whitespace() {
            let segments = segment::segments(word);
            let is_light = segments.tokens.iter().all(|token| token.function_word.is_some());
            assert!(is_light || finds(word, text), "{word} in {text}: {:?}, {:?}", asked(word), terms(text));
        }
    }
}

/// A generator of numbers (Knuth's, of MMIX), so that every run has the same.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn any_text_at_all_has_terms_in_order_and_is_found_by_its_words() {
    let odd = "aZ09_-./:@+#* \u{301}\u{200c}\u{200d}\u{fe0f}éßİΣςйўґあがー中𠀀한ᄒ\u{1161}ก\u{e34}ำខ\u{17d2}မ\u{1039}க்ا\u{64b}ـی\
        א\u{5b0}👍🏽🇩🇪👩€ﷺ½\u{e0041}Ⅷǅŉΐ\u{ffa0}";
    let odd: Vec<char> = odd.chars().collect();
    let words: Vec<&str> = fingerprint::SAMPLES.split_whitespace().collect();
    let mut numbers = Numbers(7);
    for _ in 0..3000 {
        let mut text = String::new();
        for _ in 0..numbers.below(12) {
            match numbers.below(3) {
                0 => text.push_str(words[numbers.below(words.len())]),
                1 => text.push(' '),
                _ => (0..numbers.below(6)).for_each(|_| text.push(odd[numbers.below(odd.len())])),
            }
        }
        let terms = Analyzer::default().terms(&text);
        assert!(terms.is_sorted_by_key(|term| term.position), "{text:?}");
        assert!(terms.iter().all(|term| !term.text.is_empty() && term.text.len() < 200), "{terms:?}");
        for word in text.split_whitespace().filter(|word| !word.starts_with('-')) {
            let segments = segment::segments(word);
            let is_light = segments.tokens.iter().all(|token| token.function_word.is_some());
            assert!(is_light || finds(word, &text), "{word:?} in {text:?}: {:?}, {terms:?}", asked(word));
        }
    }
}

#[test]
fn what_a_text_costs_is_bounded() {
    let most = limits::MAX_INDEXED_CHARS;
    let count = |text: &str| {
        let terms = Analyzer::default().terms(text);
        (terms.len(), terms.iter().map(|term| term.text.len()).sum::<usize>())
    };
    for (unit, most_terms) in [
        ("\u{fdfa}", most),
        ("e\u{301}\u{302}\u{303}", most),
        ("ก\u{e34}\u{e48}", most),
        ("\u{e48}", 0),
        ("\u{1ef8}", 0),
        ("\u{200d}", 0),
        ("👩\u{200d}", most),
        ("a-", most),
        ("a.b/c:d_", 2 * most),
        ("aB", 0),
        ("x +", most),
        ("中", 2 * most),
        ("\u{17d2}ក", most),
        ("🇩", most),
        ("ế", 0),
        (".ɐ", most),
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let (terms, bytes) = count(&text);
        assert!(terms <= most_terms && bytes <= 12 * most, "{unit:?}: {terms} terms, {bytes} bytes");
    }
    for word in ["x", "ế", "ß"] {
        let word = word.repeat(MAX_WORD_BYTES / "ss".len());
        for text in
            [&word, &format!("của những người {word}"), &format!(".{word}"), &format!("a-{word}-{word}")]
        {
            let terms = Analyzer::default().terms(text);
            assert!(terms.iter().all(|term| term.text.len() <= MAX_WORD_BYTES), "{text}");
        }
    }
    assert_eq!(count(&"x".repeat(MAX_WORD_BYTES)).0, 1);
    assert_eq!(count(&"x".repeat(MAX_WORD_BYTES + 1)).0, 0);
}

#[test]
fn a_question_has_a_limited_number_of_terms() {
    let words: String = (0..10_000).map(|n| format!("w{n} ")).collect();
    assert_eq!(asked(&words).len(), limits::MAX_ANALYZED_TERMS);
}

#[test]
fn the_fingerprint_is_always_the_same() {
    let name = Analyzer::default().fingerprint();
    assert_eq!(name, Analyzer::default().fingerprint());
    assert!(name.contains("Unicode ") && name.len() < 200, "{name}");
}

/// Where this fails, the next program that opens a store analyses every memory anew. Whoever means that
/// writes the new text here, and says it in the changelog.
#[test]
fn the_terms_are_those_that_stores_have() {
    let name = Analyzer::default().fingerprint();
    let (of_unicode, ours) = name.split_once(" limits ").unwrap();
    assert!(of_unicode.starts_with("1: Unicode "), "{name}");
    assert_eq!(ours, "16383, 255, 1000000, lists 47c0f80aec2f206a, terms abf104704bce2800");
}

#[test]
fn the_lists_name_languages_that_are_known() {
    let names = language::FUNCTION_WORDS.split_whitespace().filter(|word| word.starts_with('['));
    for name in names {
        assert!(language::is_known(name.trim_matches(['[', ']'])), "{name}");
    }
}
