//! Progress of long work on stderr. Nothing is drawn unless stderr is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vestige_migrate::Progress;

/// A bar over the bytes of a file; a counter of lines where the length is not known.
pub(crate) fn bytes(total: Option<u64>, phase: &'static str) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => (
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr()),
            "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
        ),
        None => (
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            "{msg} {spinner} {bytes} {bytes_per_sec}",
        ),
    };
    bar.with_style(style(template)).with_message(phase)
}

/// A bar that follows the progress of an export or a restore through its phases.
pub(crate) fn rows() -> impl FnMut(&Progress) + Send {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr())
        .with_style(style("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}"));
    let bar = Finished(bar);
    let mut phase = None;
    move |progress| {
        if phase != Some(progress.phase) {
            phase = Some(progress.phase);
            bar.0.set_message(progress.phase.to_string());
        }
        bar.0.set_length(progress.total);
        bar.0.set_position(progress.done);
    }
}

/// Takes the bar away when the work is over, however it ends.
struct Finished(ProgressBar);

impl Drop for Finished {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for bar in [bytes(Some(1), "x"), bytes(None, "x")] {
            assert_eq!(bar.message(), "x");
        }
        assert!(
            ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}").is_ok()
        );
    }
}
