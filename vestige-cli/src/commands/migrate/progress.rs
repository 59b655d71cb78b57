//! Progress on stderr: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use vestige_migrate::Progress;

use crate::output::note;

/// How often a line is written where no bar can be drawn.
const EVERY: Duration = Duration::from_secs(10);

pub(super) fn report() -> Box<dyn FnMut(&Progress) + Send> {
    if std::io::stderr().is_terminal() { Box::new(crate::progress::rows()) } else { Box::new(lines()) }
}

fn lines() -> impl FnMut(&Progress) + Send {
    let mut last = None;
    move |progress| {
        let same = |(phase, _): &(String, Instant)| *phase == progress.phase.to_string();
        if last.as_ref().is_some_and(|last: &(String, Instant)| same(last) && last.1.elapsed() < EVERY) {
            return;
        }
        last = Some((progress.phase.to_string(), Instant::now()));
        note(&line(progress));
    }
}

fn line(progress: &Progress) -> String {
    let Progress { phase, done, total, rate } = progress;
    let mut line = match (*done, *total) {
        (0, 0) => phase.to_string(),
        (done, 0) => format!("{phase}: {done}"),
        (done, total) => format!("{phase}: {done} of {total}"),
    };
    if *rate > 0.0 {
        line += &format!(", {rate:.0} a second");
    }
    if let Some(left) = progress.remaining().filter(|left| *left > EVERY) {
        line += &format!(", about {} left", duration(left.as_secs_f64()));
    }
    line
}

/// A time as people say it.
pub(super) fn duration(seconds: f64) -> String {
    match seconds.ceil() as u64 {
        0..=90 => format!("{:.0} s", seconds.ceil()),
        whole @ 91..=5400 => format!("{} min", whole.div_ceil(60)),
        whole => format!("{:.1} h", whole as f64 / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vestige_migrate::Phase;

    #[test]
    fn a_line_says_what_is_known() {
        let progress = |done, total, rate| line(&Progress { phase: Phase::Verifying, done, total, rate });
        assert_eq!(progress(0, 0, 0.0), "verifying rows");
        assert_eq!(progress(500, 0, 10.4), "verifying rows: 500, 10 a second");
        assert_eq!(progress(500, 1000, 5.0), "verifying rows: 500 of 1000, 5 a second, about 2 min left");
    }

    #[test]
    fn durations_are_round() {
        assert_eq!(duration(0.2), "1 s");
        assert_eq!(duration(91.0), "2 min");
        assert_eq!(duration(9000.0), "2.5 h");
    }
}
