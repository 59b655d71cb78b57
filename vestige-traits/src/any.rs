use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::backend::for_each_operation;
use crate::embedder::{Embedder, EmbedderResult};
use crate::error::MemoryStoreResult;
use crate::model::ModelSignature;
use crate::store::MemoryStore;

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

macro_rules! erase_store {
    ($( $name:ident $(<$life:lifetime>)? ($($arg:ident: $type:ty),*) -> $answer:ty; )*) => {
        /// [`MemoryStore`] with boxed futures, and so dyn-compatible. Sealed: it is not exported.
        trait ErasedStore: Send + Sync {
            $( fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, MemoryStoreResult<$answer>>; )*
        }

        impl<S: MemoryStore + Sync> ErasedStore for S {
            $( fn $name<'a>(&'a self, $($arg: $type),*) -> BoxFuture<'a, MemoryStoreResult<$answer>> {
                Box::pin(MemoryStore::$name(self, $($arg),*))
            } )*
        }

        impl MemoryStore for AnyMemoryStore {
            $( async fn $name $(<$life>)? (&self, $($arg: $type),*) -> MemoryStoreResult<$answer> {
                self.0.$name($($arg),*).await
            } )*
        }
    };
}

/// A store whose backend is chosen at run time.
///
/// Itself a [`MemoryStore`], at the price of one allocation for each call.
/// Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct AnyMemoryStore(Arc<dyn ErasedStore>);

for_each_operation!(erase_store);

impl AnyMemoryStore {
    /// Erases the type of `store`.
    pub fn new(store: impl MemoryStore + Sync + 'static) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyMemoryStore")
    }
}

/// [`Embedder`] with boxed futures, and so dyn-compatible. Sealed: it is not exported.
trait ErasedEmbedder: Send + Sync {
    fn signature(&self) -> &ModelSignature;
    fn embed_documents<'a>(
        &'a self,
        texts: &'a [&'a str],
    ) -> BoxFuture<'a, EmbedderResult<Vec<Option<Vec<f32>>>>>;
    fn embed_query<'a>(&'a self, text: &'a str) -> BoxFuture<'a, EmbedderResult<Option<Vec<f32>>>>;
    fn known_share(&self, text: &str) -> f64;
}

impl<E: Embedder + Sync> ErasedEmbedder for E {
    fn signature(&self) -> &ModelSignature {
        Embedder::signature(self)
    }
    fn embed_documents<'a>(
        &'a self,
        texts: &'a [&'a str],
    ) -> BoxFuture<'a, EmbedderResult<Vec<Option<Vec<f32>>>>> {
        Box::pin(Embedder::embed_documents(self, texts))
    }
    fn embed_query<'a>(&'a self, text: &'a str) -> BoxFuture<'a, EmbedderResult<Option<Vec<f32>>>> {
        Box::pin(Embedder::embed_query(self, text))
    }
    fn known_share(&self, text: &str) -> f64 {
        Embedder::known_share(self, text)
    }
}

/// An embedder whose model is chosen at run time.
///
/// Itself an [`Embedder`], at the price of one allocation for each call. Cheap to clone.
#[derive(Clone)]
pub struct AnyEmbedder(Arc<dyn ErasedEmbedder>);

impl AnyEmbedder {
    /// Erases the type of `embedder`.
    pub fn new(embedder: impl Embedder + Sync + 'static) -> Self {
        Self(Arc::new(embedder))
    }
}

impl fmt::Debug for AnyEmbedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyEmbedder").field(self.0.signature()).finish()
    }
}

impl Embedder for AnyEmbedder {
    fn signature(&self) -> &ModelSignature {
        self.0.signature()
    }
    async fn embed_documents(&self, texts: &[&str]) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        self.0.embed_documents(texts).await
    }
    async fn embed_query(&self, text: &str) -> EmbedderResult<Option<Vec<f32>>> {
        self.0.embed_query(text).await
    }
    fn known_share(&self, text: &str) -> f64 {
        self.0.known_share(text)
    }
}
