//! What the models of fastembed's list want done to a text, by their model cards.

use fastembed::{EmbeddingModel, Pooling, QuantizationMode, TextEmbedding};
use vestige_traits::{EmbedderError, EmbedderResult};

use super::failure::DYNAMIC;
use super::preparation::{self, Preparation};

/// The published name of a model, what goes before a document and what goes before a query.
type Entry = (&'static str, &'static str, &'static str);

const NONE: (&str, &str) = ("", "");
/// Model cards of BGE (English, v1.5), mxbai-embed-large-v1 and Snowflake Arctic Embed v1.
const PASSAGES: (&str, &str) = ("", "Represent this sentence for searching relevant passages: ");
/// Model card of BGE (Chinese, v1.5).
const PASSAGES_ZH: (&str, &str) = ("", "为这个句子生成表示以用于检索相关文章：");
/// Model cards of nomic-embed-text v1 and v1.5, and of modernbert-embed-large.
const NOMIC: (&str, &str) = ("search_document: ", "search_query: ");
/// Model cards of multilingual E5.
const E5: (&str, &str) = ("passage: ", "query: ");
/// Model card of EmbeddingGemma, retrieval.
const GEMMA: (&str, &str) = ("title: none | text: ", "task: search result | query: ");

/// The model card's name and prefixes. Exhaustive, so that a new version of fastembed is looked at here.
fn entry(model: &EmbeddingModel) -> Entry {
    use EmbeddingModel as M;
    let (name, (document, query)) = match model {
        M::AllMiniLML6V2 => ("sentence-transformers/all-MiniLM-L6-v2", NONE),
        M::AllMiniLML6V2Q => ("Xenova/all-MiniLM-L6-v2-quantized", NONE),
        M::AllMiniLML12V2 => ("sentence-transformers/all-MiniLM-L12-v2", NONE),
        M::AllMiniLML12V2Q => ("Xenova/all-MiniLM-L12-v2-quantized", NONE),
        M::AllMpnetBaseV2 => ("sentence-transformers/all-mpnet-base-v2", NONE),
        M::BGEBaseENV15 => ("BAAI/bge-base-en-v1.5", PASSAGES),
        M::BGEBaseENV15Q => ("Qdrant/bge-base-en-v1.5-onnx-Q", PASSAGES),
        M::BGELargeENV15 => ("BAAI/bge-large-en-v1.5", PASSAGES),
        M::BGELargeENV15Q => ("Qdrant/bge-large-en-v1.5-onnx-Q", PASSAGES),
        M::BGESmallENV15 => ("BAAI/bge-small-en-v1.5", PASSAGES),
        M::BGESmallENV15Q => ("Qdrant/bge-small-en-v1.5-onnx-Q", PASSAGES),
        M::BGESmallZHV15 => ("BAAI/bge-small-zh-v1.5", PASSAGES_ZH),
        M::BGELargeZHV15 => ("BAAI/bge-large-zh-v1.5", PASSAGES_ZH),
        M::BGEM3 => ("BAAI/bge-m3", NONE),
        M::NomicEmbedTextV1 => ("nomic-ai/nomic-embed-text-v1", NOMIC),
        M::NomicEmbedTextV15 => ("nomic-ai/nomic-embed-text-v1.5", NOMIC),
        M::NomicEmbedTextV15Q => ("nomic-ai/nomic-embed-text-v1.5-quantized", NOMIC),
        M::ParaphraseMLMiniLML12V2 => ("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", NONE),
        M::ParaphraseMLMiniLML12V2Q => ("Qdrant/paraphrase-multilingual-MiniLM-L12-v2-onnx-Q", NONE),
        M::ParaphraseMLMpnetBaseV2 => ("sentence-transformers/paraphrase-multilingual-mpnet-base-v2", NONE),
        M::ModernBertEmbedLarge => ("lightonai/modernbert-embed-large", NOMIC),
        M::MultilingualE5Small => ("intfloat/multilingual-e5-small", E5),
        M::MultilingualE5Base => ("intfloat/multilingual-e5-base", E5),
        M::MultilingualE5Large => ("intfloat/multilingual-e5-large", E5),
        M::MxbaiEmbedLargeV1 => ("mixedbread-ai/mxbai-embed-large-v1", PASSAGES),
        M::MxbaiEmbedLargeV1Q => ("mixedbread-ai/mxbai-embed-large-v1-quantized", PASSAGES),
        M::GTEBaseENV15 => ("Alibaba-NLP/gte-base-en-v1.5", NONE),
        M::GTEBaseENV15Q => ("Alibaba-NLP/gte-base-en-v1.5-quantized", NONE),
        M::GTELargeENV15 => ("Alibaba-NLP/gte-large-en-v1.5", NONE),
        M::GTELargeENV15Q => ("Alibaba-NLP/gte-large-en-v1.5-quantized", NONE),
        M::ClipVitB32 => ("Qdrant/clip-ViT-B-32-text", NONE),
        M::JinaEmbeddingsV2BaseCode => ("jinaai/jina-embeddings-v2-base-code", NONE),
        M::JinaEmbeddingsV2BaseEN => ("jinaai/jina-embeddings-v2-base-en", NONE),
        M::EmbeddingGemma300M => ("google/embeddinggemma-300m", GEMMA),
        M::EmbeddingGemma300MQ4 => ("google/embeddinggemma-300m-q4", GEMMA),
        M::EmbeddingGemma300MQ => ("google/embeddinggemma-300m-quantized", GEMMA),
        M::SnowflakeArcticEmbedXS => ("Snowflake/snowflake-arctic-embed-xs", PASSAGES),
        M::SnowflakeArcticEmbedXSQ => ("Snowflake/snowflake-arctic-embed-xs-quantized", PASSAGES),
        M::SnowflakeArcticEmbedS => ("Snowflake/snowflake-arctic-embed-s", PASSAGES),
        M::SnowflakeArcticEmbedSQ => ("Snowflake/snowflake-arctic-embed-s-quantized", PASSAGES),
        M::SnowflakeArcticEmbedM => ("Snowflake/snowflake-arctic-embed-m", PASSAGES),
        M::SnowflakeArcticEmbedMQ => ("Snowflake/snowflake-arctic-embed-m-quantized", PASSAGES),
        M::SnowflakeArcticEmbedMLong => ("Snowflake/snowflake-arctic-embed-m-long", PASSAGES),
        M::SnowflakeArcticEmbedMLongQ => ("Snowflake/snowflake-arctic-embed-m-long-quantized", PASSAGES),
        M::SnowflakeArcticEmbedL => ("Snowflake/snowflake-arctic-embed-l", PASSAGES),
        M::SnowflakeArcticEmbedLQ => ("Snowflake/snowflake-arctic-embed-l-quantized", PASSAGES),
    };
    (name, document, query)
}

/// Finds a model by its published name, that name without its publisher, or fastembed's name for it; case is
/// ignored.
pub(super) fn find(name: &str) -> EmbedderResult<EmbeddingModel> {
    let known = TextEmbedding::list_supported_models().into_iter().map(|info| info.model).find(|model| {
        let published = entry(model).0;
        let short = published.rsplit('/').next().unwrap_or(published);
        [published, short, &model.to_string()].iter().any(|known| known.eq_ignore_ascii_case(name))
    });
    let unavailable = |reason| EmbedderError::ModelUnavailable { model: name.to_owned(), reason };
    let model = known
        .ok_or_else(|| unavailable(format!("no model of that name; known are {}", names().join(", "))))?;
    if is_dynamic(&model) {
        return Err(EmbedderError::Unsupported { model: name.to_owned(), reason: DYNAMIC.to_owned() });
    }
    Ok(model)
}

/// The published names of the models that can be used, in alphabetical order.
pub(super) fn names() -> Vec<&'static str> {
    let models = TextEmbedding::list_supported_models();
    let mut names: Vec<_> =
        models.iter().filter(|info| !is_dynamic(&info.model)).map(|info| entry(&info.model).0).collect();
    names.sort_unstable();
    names
}

pub(super) fn preparation(model: &EmbeddingModel) -> Preparation {
    let (name, document, query) = entry(model);
    let pooling = match TextEmbedding::get_default_pooling_method(model) {
        Some(Pooling::Mean) => preparation::Pooling::Mean,
        Some(Pooling::Cls) | None => preparation::Pooling::Cls,
    };
    Preparation::new(name, pooling).prefixes(document, query)
}

fn is_dynamic(model: &EmbeddingModel) -> bool {
    TextEmbedding::get_quantization_mode(model) == QuantizationMode::Dynamic
}

impl Preparation {
    /// The preparation of a model that [`FastembedEmbedder::from_hub`](crate::FastembedEmbedder::from_hub)
    /// knows, for a copy of it in a folder.
    ///
    /// # Errors
    ///
    /// [`EmbedderError::ModelUnavailable`](vestige_traits::EmbedderError::ModelUnavailable) if no model has
    /// that name, [`EmbedderError::Unsupported`](vestige_traits::EmbedderError::Unsupported) if it must not
    /// be used.
    pub fn of(model: &str) -> EmbedderResult<Self> {
        Ok(preparation(&find(model)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_each_of_its_names() {
        for name in
            ["sentence-transformers/all-MiniLM-L6-v2", "all-minilm-l6-v2", "AllMiniLML6V2", "allminilml6v2"]
        {
            assert_eq!(find(name).unwrap(), EmbeddingModel::AllMiniLML6V2, "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        let models = TextEmbedding::list_supported_models();
        let mut names: Vec<_> = models.iter().map(|info| entry(&info.model).0.to_lowercase()).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn an_unknown_model_is_unavailable_and_the_known_ones_are_named() {
        let error = find("no-such-model").unwrap_err();
        assert!(matches!(error, EmbedderError::ModelUnavailable { .. }), "{error}");
        assert!(error.to_string().contains("BAAI/bge-m3"), "{error}");
    }

    #[test]
    fn dynamically_quantised_models_are_refused_and_not_listed() {
        for name in ["AllMiniLML6V2Q", "NomicEmbedTextV15Q", "nomic-embed-text-v1.5-quantized"] {
            assert!(matches!(find(name), Err(EmbedderError::Unsupported { .. })), "{name}");
        }
        assert!(find("BGESmallENV15Q").is_ok(), "quantised once, for all batches alike");
        assert!(!names().contains(&"nomic-ai/nomic-embed-text-v1.5-quantized"));
    }

    #[test]
    fn prefixes_and_pooling_are_those_of_the_model_cards() {
        let of = |name: &str| preparation(&find(name).unwrap());
        let nomic = of("nomic-embed-text-v1.5");
        assert_eq!(
            (nomic.document_prefix.as_str(), nomic.query_prefix.as_str()),
            ("search_document: ", "search_query: ")
        );
        assert_eq!(nomic.pooling, crate::Pooling::Mean);
        let e5 = of("multilingual-e5-small");
        assert_eq!((e5.document_prefix.as_str(), e5.query_prefix.as_str()), ("passage: ", "query: "));
        let bge = of("bge-small-en-v1.5");
        assert_eq!((bge.document_prefix.as_str(), bge.pooling), ("", crate::Pooling::Cls));
        assert!(bge.query_prefix.starts_with("Represent this sentence"));
        assert_eq!(of("all-MiniLM-L6-v2").query_prefix, "");
    }
}
