//! A real model on a real ONNX Runtime.

#![cfg(feature = "fastembed")]
#![allow(clippy::unwrap_used, reason = "a test may fail here")]

mod support;

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::Assets;
use vestige_embed::{FastembedEmbedder, FastembedOptions, Pooling, Preparation};
use vestige_traits::{Embedder, EmbedderError};

const REPOSITORY: &str = "models--Qdrant--all-MiniLM-L6-v2-onnx";

fn minilm(assets: &Assets) -> FastembedEmbedder {
    let preparation = Preparation::of("sentence-transformers/all-MiniLM-L6-v2").unwrap();
    FastembedEmbedder::from_folder(&assets.minilm, preparation, &assets.options()).unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// A folder with copies of the model's files, for tests that change them.
fn copy_of(assets: &Assets) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["model.onnx", "tokenizer.json"] {
        fs::copy(assets.minilm.join(name), folder.path().join(name)).unwrap();
    }
    folder
}

#[tokio::test]
async fn vectors_have_the_registered_dimension_and_unit_length() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    assert_eq!(model.signature().name, "sentence-transformers/all-MiniLM-L6-v2");
    assert_eq!(model.signature().dimension, 384);
    model.signature().validate().unwrap();
    let vector = model.embed_query("a memory").await.unwrap().unwrap();
    assert_eq!(vector.len(), 384);
    assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
}

#[tokio::test]
async fn a_paraphrase_is_nearer_than_another_matter() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    let stored = model
        .embed_documents(&["The deploy failed because the disk was full", "Mara is allergic to peanuts"])
        .await
        .unwrap();
    let question = model.embed_query("release broke since there was no storage left").await.unwrap();
    let near = |stored: &Option<Vec<f32>>| cosine(question.as_ref().unwrap(), stored.as_ref().unwrap());
    assert!(near(&stored[0]) > near(&stored[1]) + 0.2);
}

#[tokio::test]
async fn a_vector_does_not_depend_on_the_texts_beside_it() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    let long = "a much longer text that would make a shorter one padded ".repeat(8);
    let texts = ["short", &long, "a text of middling length, with a comma", "short"];
    let together = model.embed_documents(&texts).await.unwrap();
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(&model.embed_documents(&[text]).await.unwrap()[0], vector, "bit by bit");
    }
    assert_eq!(together[0], together[3]);
}

#[tokio::test]
async fn a_text_without_a_known_word_has_no_vector() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    for nothing in ["", " \n\t ", "🦑🦑🦑", "\u{200b}"] {
        let vectors = model.embed_documents(&["fine", nothing]).await.unwrap();
        assert!(vectors.len() == 2 && vectors[0].is_some() && vectors[1].is_none(), "{nothing:?}");
        assert_eq!(model.embed_query(nothing).await.unwrap(), None, "{nothing:?}");
    }
    assert!(model.embed_documents(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn hostile_texts_have_a_vector_or_none() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    let texts = [
        "word ".repeat(2 << 20),
        "e\u{301}".repeat(100_000),
        "שלום עולם".to_owned(),
        "[SEP][CLS][MASK] x\0y".to_owned(),
    ];
    for text in &texts {
        if let Some(vector) = model.embed_query(text).await.unwrap() {
            assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
        }
    }
}

#[tokio::test]
async fn overlapping_calls_get_their_own_answers() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    let (a, b, c) =
        tokio::join!(model.embed_query("first"), model.embed_query("second"), model.embed_query("first"));
    assert_eq!(a.as_ref().unwrap(), c.as_ref().unwrap());
    assert_ne!(a.unwrap(), b.unwrap());
}

#[tokio::test]
async fn a_dropped_call_loses_its_result_and_nothing_else() {
    let Some(assets) = Assets::find() else { return };
    let model = minilm(&assets);
    let texts = ["some text that takes a while"; 2_000];
    let dropped = tokio::time::timeout(Duration::from_millis(5), model.embed_documents(&texts)).await;
    assert!(dropped.is_err(), "2,000 texts take longer than that");
    let next = tokio::time::timeout(Duration::from_secs(20), model.embed_query("next")).await;
    assert_eq!(next.expect("the rest of the dropped call is not computed").unwrap().unwrap().len(), 384);
}

#[tokio::test]
async fn whatever_changes_a_vector_changes_the_signature() {
    let Some(assets) = Assets::find() else { return };
    let plain = || Preparation::new("m", Pooling::Mean);
    let hash = |folder: &Path, preparation, options: &FastembedOptions| {
        FastembedEmbedder::from_folder(folder, preparation, options).unwrap().signature().hash.clone()
    };
    let options = assets.options();
    let same = hash(&assets.minilm, plain(), &options);
    assert_eq!(same, hash(&assets.minilm, plain(), &options.clone().threads(NonZeroUsize::MIN)));
    assert_eq!(same, hash(copy_of(&assets).path(), plain(), &options), "wherever the files are");

    let tokenizer = copy_of(&assets);
    let path = tokenizer.path().join("tokenizer.json");
    let changed = fs::read_to_string(&path).unwrap().replacen("\"lowercase\":true", "\"lowercase\":false", 1);
    fs::write(&path, changed.clone() + "\n").unwrap();
    let others = [
        hash(tokenizer.path(), plain(), &options),
        hash(&assets.minilm, Preparation::new("m", Pooling::Cls), &options),
        hash(&assets.minilm, plain().prefixes("passage: ", ""), &options),
        hash(&assets.minilm, plain().prefixes("", "query: "), &options),
        hash(&assets.minilm, plain(), &options.clone().max_tokens(NonZeroUsize::new(128).unwrap())),
    ];
    for (index, other) in others.iter().enumerate() {
        assert_ne!(&same, other, "{index}");
    }
}

#[tokio::test]
async fn documents_and_queries_get_their_own_prefix() {
    let Some(assets) = Assets::find() else { return };
    let open =
        |preparation| FastembedEmbedder::from_folder(&assets.minilm, preparation, &assets.options()).unwrap();
    let prefixed = open(Preparation::new("m", Pooling::Mean).prefixes("passage: ", "query: "));
    let bare = open(Preparation::new("m", Pooling::Mean));
    assert_eq!(
        prefixed.embed_documents(&["text"]).await.unwrap(),
        bare.embed_documents(&["passage: text"]).await.unwrap()
    );
    assert_eq!(prefixed.embed_query("text").await.unwrap(), bare.embed_query("query: text").await.unwrap());
}

#[test]
fn a_folder_that_lacks_a_file_is_unavailable() {
    let Some(assets) = Assets::find() else { return };
    let preparation = || Preparation::new("m", Pooling::Mean);
    for missing in ["model.onnx", "tokenizer.json"] {
        let folder = copy_of(&assets);
        fs::remove_file(folder.path().join(missing)).unwrap();
        let error =
            FastembedEmbedder::from_folder(folder.path(), preparation(), &assets.options()).unwrap_err();
        assert!(matches!(error, EmbedderError::ModelUnavailable { .. }), "{error}");
        assert!(error.to_string().contains(missing), "{error}");
    }
}

#[test]
fn a_damaged_file_is_named_in_one_line() {
    let Some(assets) = Assets::find() else { return };
    for damaged in ["model.onnx", "tokenizer.json"] {
        let folder = copy_of(&assets);
        fs::write(folder.path().join(damaged), "no such thing").unwrap();
        let preparation = Preparation::new("m", Pooling::Mean);
        let error =
            FastembedEmbedder::from_folder(folder.path(), preparation, &assets.options()).unwrap_err();
        assert!(matches!(error, EmbedderError::File { .. }), "{error}");
        assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
}

#[test]
fn a_model_that_is_quantised_by_the_batch_is_refused() {
    let Some(assets) = Assets::find() else { return };
    let folder = copy_of(&assets);
    fs::write(folder.path().join("model.onnx"), b"\x08\x07:DynamicQuantizeLinear").unwrap();
    let preparation = Preparation::new("m", Pooling::Mean);
    let error = FastembedEmbedder::from_folder(folder.path(), preparation, &assets.options()).unwrap_err();
    assert!(matches!(error, EmbedderError::Unsupported { .. }), "{error}");
}

/// A cache of the hub with the model in it, laid out by hand.
fn cache_with_minilm(assets: &Assets) -> tempfile::TempDir {
    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join(REPOSITORY);
    let snapshot = repository.join("snapshots/0123abcd");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), "0123abcd").unwrap();
    for name in ["model.onnx", "tokenizer.json"] {
        fs::copy(assets.minilm.join(name), snapshot.join(name)).unwrap();
    }
    fs::write(snapshot.join("config.json"), r#"{"pad_token_id": 0}"#).unwrap();
    fs::write(snapshot.join("special_tokens_map.json"), r#"{"pad_token": "[PAD]"}"#).unwrap();
    fs::write(snapshot.join("tokenizer_config.json"), r#"{"model_max_length": 512, "pad_token": "[PAD]"}"#)
        .unwrap();
    cache
}

#[tokio::test]
async fn a_model_in_the_cache_opens_without_a_network() {
    let Some(assets) = Assets::find() else { return };
    if std::env::var_os("HF_HOME").is_some() {
        return; // It would go before the cache of this test.
    }
    let cache = cache_with_minilm(&assets);
    let model = FastembedEmbedder::from_hub("all-MiniLM-L6-v2", cache.path(), &assets.options()).unwrap();
    assert_eq!(model.signature().name, "sentence-transformers/all-MiniLM-L6-v2");
    let text = "the same model by another door";
    assert_eq!(model.embed_query(text).await.unwrap(), minilm(&assets).embed_query(text).await.unwrap());
}

/// The variables of the hub are the process's own: the test runs itself again with others.
const CHILD: &str = "VESTIGE_TEST_CHILD_CACHE";

#[test]
fn a_missing_model_without_a_network_names_the_cache_and_what_to_do() {
    let Some(assets) = Assets::find() else { return };
    if let Some(cache) = std::env::var_os(CHILD) {
        let error = FastembedEmbedder::from_hub("all-MiniLM-L6-v2", &cache, &assets.options()).unwrap_err();
        assert!(matches!(error, EmbedderError::ModelUnavailable { .. }), "{error}");
        let message = error.to_string();
        for part in [&*cache.to_string_lossy(), "Qdrant/all-MiniLM-L6-v2-onnx", "connect once"] {
            assert!(message.contains(part), "{part:?} is not in {message}");
        }
        assert!(!message.contains('\n'), "{message}");
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let here = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_missing_model_without_a_network_names_the_cache_and_what_to_do"])
        .env(CHILD, cache.path())
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env_remove("HF_HOME")
        .current_dir(here.path())
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(
        fs::read_dir(here.path()).unwrap().next().is_none(),
        "nothing is written to the working directory"
    );
}
