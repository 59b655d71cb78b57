//! What is printed: Markdown, so that it can stand in a README.

use vestige_bench::sample::Sample;

use crate::contest::Times;

#[expect(clippy::print_stdout, reason = "the result of the command")]
fn line(text: &str) {
    println!("{text}");
}

pub(crate) fn heading(sample: &Sample) {
    let (memories, dimension, questions) = (sample.texts.len(), sample.dimension, sample.questions.len());
    line(&format!(
        "{memories} memories ({}), {dimension} dimensions, {questions} questions, {} processors",
        sample.origin,
        std::thread::available_parallelism().map_or(1, usize::from)
    ));
}

pub(crate) fn section(name: &str) {
    line(&format!("\n**{name}**\n"));
    line("| contender | p50 ms | p99 ms | times the first | recall@10 | |");
    line("|---|---|---|---|---|---|");
}

/// A line of a section whose first line took `first` in the median.
pub(crate) fn row(who: &str, times: &Times, first: f64, recall: Option<f64>, note: &str) {
    let recall = recall.map_or(String::new(), |recall| format!("{recall:.3}"));
    line(&format!(
        "| {who} | {:.3} | {:.3} | {:.2} | {recall} | {note} |",
        times.percentile(0.5),
        times.percentile(0.99),
        times.percentile(0.5) / first
    ));
}

pub(crate) fn note(text: &str) {
    line(&format!("\n{text}"));
}
