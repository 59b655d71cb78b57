//! The bundled model, from outside.

#![cfg(feature = "static")]

use vestige_embed::StaticEmbedder;
use vestige_traits::Embedder;

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[test]
fn vectors_have_the_registered_dimension_and_unit_length() {
    let model = StaticEmbedder::bundled();
    for text in ["cat", "the quick brown fox", "is it", "7", &"word ".repeat(100_000)] {
        let vector = model.embed(text).unwrap();
        assert_eq!(vector.len(), model.signature().dimension);
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{text:.20}");
    }
}

#[test]
fn a_text_without_a_known_word_has_no_vector() {
    let model = StaticEmbedder::bundled();
    for text in ["", "   \n", "?!… --", "🎉👩‍👩‍👧", "\u{301}\u{302}", "\u{202e}\u{202c}", "\0", "ꙮ"]
    {
        assert_eq!(model.embed(text), None, "{text:?}");
    }
}

#[test]
fn common_words_alone_have_a_vector() {
    assert!(StaticEmbedder::bundled().embed("what is it").is_some());
}

#[test]
fn words_spelled_letter_by_letter_are_not_known() {
    let model = StaticEmbedder::bundled();
    for text in ["The deploy failed because the disk was full", "what is it"] {
        assert_eq!(model.known_share(text), 1.0, "{text}");
    }
    for text in ["", "🎉", "7", "Собака Бим боится грозы", "数据库服务器每天重启。", "החתול ישן", "xꙮ"]
    {
        assert!(model.known_share(text) < 0.2, "{text}: {}", model.known_share(text));
    }
    let part = model.known_share("Сервис написан на PostgreSQL and Rust");
    assert!((0.05..0.2).contains(&part), "{part}");
    let chosen_at_run_time = vestige_traits::AnyEmbedder::new(model);
    assert_eq!(chosen_at_run_time.known_share("Сервис написан на PostgreSQL and Rust"), part);
}

#[test]
fn words_cut_into_pieces_are_known_in_part() {
    let model = StaticEmbedder::bundled();
    for text in [
        "Der Server wird jede Nacht gestartet.",
        "El servidor se reinicia cada noche a las dos.",
        "Le serveur redémarre chaque nuit à deux heures.",
        "De databaseserver wordt elke nacht herstart.",
        "Baza danych jest uruchamiana ponownie każdej nocy.",
        "Veritabanı sunucusu her gece yeniden başlatılır.",
    ] {
        let share = model.known_share(text);
        assert!((0.2..0.7).contains(&share), "{text}: {share}");
    }
    // "una", "##ffa", "##ble".
    assert!((model.known_share("unaffable") - 1.0 / 3.0).abs() < 1e-12);
    assert_eq!(model.known_share("serveur"), 0.5, "two pieces");
    assert_eq!(model.known_share("gardening"), 1.0, "a word of the vocabulary");
}

#[test]
fn case_accents_and_punctuation_make_no_difference() {
    let model = StaticEmbedder::bundled();
    let plain = model.embed("cafe deja vu").unwrap();
    assert_eq!(plain, model.embed("Café, DÉJÀ vu!").unwrap());
    assert_eq!(plain, model.embed("cafe\u{301} de\u{301}ja\u{300} vu").unwrap());
}

#[test]
fn hostile_texts_have_a_vector_or_none_without_a_panic() {
    let model = StaticEmbedder::bundled();
    let texts = [
        "a".repeat(10 << 20),
        "é".repeat(5 << 20),
        "a\u{301}".repeat(1 << 20),
        "שלום ".repeat(1 << 20),
        "👩‍👩‍👧".repeat(1 << 18),
        " ".repeat(10 << 20),
        "x ".repeat(5 << 20),
        (0..=0x10_ffff).filter_map(char::from_u32).collect(),
    ];
    for text in &texts {
        if let Some(vector) = model.embed(text) {
            assert!(vector.iter().all(|x| x.is_finite()));
        }
    }
}

#[test]
fn text_beyond_the_window_is_not_looked_at() {
    let model = StaticEmbedder::bundled();
    let window = "gardens ".repeat(1 << 13);
    assert_eq!(window.len(), 65_536);
    assert_eq!(model.embed(&window).unwrap(), model.embed(&(window.clone() + "rockets")).unwrap());
}

#[test]
fn the_same_text_gives_the_same_bits_on_every_machine() {
    let vector =
        StaticEmbedder::bundled().embed("The same text gives the same bits on every machine.").unwrap();
    let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "d8bf762af405019d4b30e396da4ea9cf9424a0e029572b69e791acaaceb28cbd"
    );
}

#[test]
fn threads_share_one_model() {
    let expected = StaticEmbedder::bundled().embed("shared between threads").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                assert_eq!(StaticEmbedder::bundled().embed("shared between threads").unwrap(), expected)
            });
        }
    });
}

#[tokio::test]
async fn a_batch_gives_the_vectors_of_its_texts_in_order() {
    let model = StaticEmbedder::bundled();
    let batch = model.embed_documents(&["first memory", "second thought"]).await.unwrap();
    assert_eq!(batch[0], model.embed_query("first memory").await.unwrap());
    assert_eq!(batch[1], model.embed_query("second thought").await.unwrap());
    assert!(model.embed_documents(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_has_no_vector_for_its_texts_without_a_known_word() {
    let model = StaticEmbedder::bundled();
    let batch = model.embed_documents(&["?!", "fine", "", "\u{1}", "the mast", "🎉"]).await.unwrap();
    assert_eq!(batch, [None, model.embed("fine"), None, None, model.embed("the mast"), None]);
    assert!(batch[1].is_some() && batch[4].is_some());
}

#[test]
fn a_paraphrase_is_nearer_than_anything_else() {
    let pairs = [
        ("The deploy failed because the disk was full", "release broke since there was no storage left"),
        ("My flight to Lisbon leaves on Friday at seven", "when do I travel to Portugal"),
        ("He prefers tea without sugar in the morning", "what does he like to drink at breakfast"),
        ("The dog was taken to the vet with a broken leg", "injured pet got medical treatment"),
        ("They bought a small house near the sea", "purchased a cottage by the ocean"),
        ("The landlord raised the rent by ten percent", "housing costs went up"),
    ];
    let model = StaticEmbedder::bundled();
    let memories: Vec<_> = pairs.iter().map(|(memory, _)| model.embed(memory).unwrap()).collect();
    for (index, (_, question)) in pairs.iter().enumerate() {
        let question = model.embed(question).unwrap();
        let best = (0..pairs.len())
            .max_by(|&a, &b| cosine(&question, &memories[a]).total_cmp(&cosine(&question, &memories[b])))
            .unwrap();
        assert_eq!(best, index, "{}", pairs[index].1);
    }
}
