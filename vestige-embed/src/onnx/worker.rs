//! The thread that runs a model, so that no async worker waits for arithmetic.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;
use vestige_traits::{EmbedderError, EmbedderResult};

use super::model::{Model, Side};

/// Sends texts to the thread. Dropping it ends the thread and frees the model, after the text that is being
/// embedded.
pub(super) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

struct Job {
    texts: Vec<String>,
    side: Side,
    answer: oneshot::Sender<EmbedderResult<Vec<Option<Vec<f32>>>>>,
}

impl Worker {
    pub(super) fn start(mut model: Model) -> EmbedderResult<Self> {
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = thread::Builder::new()
            .name("vestige-embed".to_owned())
            .spawn(move || queue.iter().for_each(|job| job.run(&mut model)))
            .map_err(inference)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    pub(super) async fn embed(
        &self,
        texts: Vec<String>,
        side: Side,
    ) -> EmbedderResult<Vec<Option<Vec<f32>>>> {
        let gone = || inference(io::Error::other("the thread that runs the model has ended"));
        let (answer, answered) = oneshot::channel();
        let job = Job { texts, side, answer };
        self.jobs.as_ref().and_then(|jobs| jobs.send(job).ok()).ok_or_else(gone)?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closes the queue, which is what ends the thread.
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            // It cannot panic: jobs catch what the model throws.
            let _ = thread.join();
        }
    }
}

impl Job {
    fn run(self, model: &mut Model) {
        let mut vectors = Vec::with_capacity(self.texts.len());
        for text in &self.texts {
            if self.answer.is_closed() {
                return; // The caller has gone.
            }
            match guarded(|| model.embed(text, self.side)) {
                Ok(vector) => vectors.push(vector),
                Err(error) => {
                    let _ = self.answer.send(Err(error));
                    return;
                }
            }
        }
        let _ = self.answer.send(Ok(vectors));
    }
}

/// Runs what may panic inside libraries that should not, and makes an error of it.
pub(super) fn guarded<T>(run: impl FnOnce() -> EmbedderResult<T>) -> EmbedderResult<T> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let text = text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_else(|| "no message".to_owned());
        Err(inference(io::Error::other(format!("the library panicked: {text}"))))
    })
}

fn inference(error: io::Error) -> EmbedderError {
    EmbedderError::Inference(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_message() {
        let error = guarded::<()>(|| panic!("shape {}", 3)).unwrap_err();
        assert_eq!(error.to_string(), "embedding failed: the library panicked: shape 3");
    }
}
