//! What a copy did, for people.

use vestige_memory::text::{counted, one_line};
use vestige_migrate::{CopyOutcome, CopyPlan, CopyReport, DifferenceKind, PerKind, Proof, Tally};
use vestige_traits::transfer::TransferKind;

use super::places::Place;
use super::progress::duration;
use crate::failure::CommandResult;
use crate::output::{self, BOLD, DIM, GREEN, Output, RED, Styled};

pub(super) fn copied(out: &mut Output, from: &Place, to: &Place, report: &CopyReport) -> CommandResult {
    let seconds = report.elapsed.as_secs_f64();
    let moved = format!(
        "{} in {}, {:.0} a second{}",
        counted(report.moved_now, "row"),
        duration(seconds),
        report.moved_now as f64 / seconds.max(0.001),
        if report.resumed { " (went on where it had stopped)" } else { "" }
    );
    let how = match report.outcome {
        CopyOutcome::Complete | CopyOutcome::SourceChanged => moved,
        CopyOutcome::AlreadyComplete | CopyOutcome::SourceChangedSince => {
            "this copy was completed before; nothing was changed".to_owned()
        }
        other => format!("{moved}; {other}"),
    };
    out.line(format_args!("{from} → {to}: {how}"))?;
    table(out, &report.rows, "moved")?;
    match &report.proof {
        Some(proof) => proven(out, proof),
        None => Ok(()),
    }
}

pub(super) fn planned(out: &mut Output, from: &Place, to: &Place, plan: &CopyPlan) -> CommandResult {
    if plan.already_complete {
        return out
            .line(format_args!("{from} → {to}: this copy was completed before; nothing would be done"));
    }
    let goes_on = if plan.resumes { ", going on where it had stopped" } else { "" };
    out.line(format_args!(
        "{from} → {to}: would move {}, {:.1} MB, in about {}{goes_on}",
        counted(plan.rows.sum().inserted, "row"),
        plan.bytes as f64 / 1e6,
        duration(plan.seconds)
    ))?;
    table(out, &plan.rows, "would move")
}

fn table(out: &mut Output, rows: &PerKind<Tally>, moved: &str) -> CommandResult {
    let head = format!("{:<18} {moved:>12} {:>12} {:>12}", "", "there", "not moved");
    out.line(Styled(DIM, head))?;
    for (kind, tally) in rows.iter().filter(|(_, tally)| tally.total() > 0) {
        let lost = tally.not_moved();
        let lost = Styled(if lost > 0 { RED } else { DIM }, format!("{lost:>12}"));
        let kind = Styled(BOLD, format!("{:<18}", name(kind)));
        out.line(format_args!("{kind} {:>12} {:>12} {lost}", tally.inserted, tally.unchanged))?;
    }
    Ok(())
}

pub(super) fn proven(out: &mut Output, proof: &Proof) -> CommandResult {
    let sum = proof.sum();
    let compared = counted(proof.source.counts.total(), "row");
    if proof.is_equal() {
        let verdict = Styled(GREEN, "equal");
        out.line(format_args!(
            "{compared} compared one by one: {verdict}, and so are counts and digests of every kind"
        ))?;
    } else if proof.nothing_lost() {
        let verdict = Styled(GREEN, "every one is in the target unchanged");
        out.line(format_args!(
            "{compared} compared one by one: {verdict}, beside {}",
            counted(sum.extra, "other row")
        ))?;
    } else {
        let verdict = Styled(RED, "not the same");
        out.line(format_args!(
            "{compared} compared one by one: {verdict}: {} missing in the target, {} different, {} in the target alone",
            sum.missing, sum.different, sum.extra
        ))?;
        if proof.damaged_in_source + proof.damaged_in_target > 0 {
            out.line(format_args!(
                "cannot be read: {} in the source, {} in the target",
                proof.damaged_in_source, proof.damaged_in_target
            ))?;
        }
        // What is lost comes before what is there besides.
        let (extra, lost): (Vec<_>, Vec<_>) =
            proof.examples.iter().partition(|example| example.difference == DifferenceKind::Extra);
        for example in lost.into_iter().chain(extra).take(10) {
            let text = format!("  {} {}: {}", name(example.kind()), example.key, example.difference);
            out.line(one_line(&text))?;
        }
    }
    for (kind, digest) in proof.source.digests.iter().filter(|(kind, _)| proof.source.counts[*kind] > 0) {
        let count = proof.source.counts[kind];
        let same = if proof.target.digests[kind] == *digest { "=" } else { "≠" };
        let text = format!("  {:<18} {count:>12} {same} {digest}", name(kind));
        out.line(Styled(DIM, text))?;
    }
    for search in &proof.searches {
        let failed = if search.failed > 0 { format!(", {} failed", search.failed) } else { String::new() };
        out.line(format_args!(
            "{:<8} searches: {} of {} the same; top 10 agree to {:.1} %{failed}",
            search.mode.to_string(),
            search.identical,
            search.searches,
            100.0 * search.mean_overlap
        ))?;
    }
    Ok(())
}

/// Says on stderr why the exit code is 1.
pub(super) fn complain(report: &CopyReport) {
    let sum = report.rows.sum();
    if sum.not_moved() > 0 {
        output::error(&format!(
            "{} not moved: {} damaged in the source, {} refused by the target, {} there with other content",
            counted(sum.not_moved(), "row"),
            sum.damaged,
            sum.rejected,
            sum.conflicts
        ));
    }
    match report.outcome {
        CopyOutcome::SourceChanged => output::error(
            "the source was written to while it was copied: stop what writes to it and run the same command again, \
             which adds what is new; memories that were changed or deleted meanwhile stay in the target as they were \
             copied, so for an exact copy begin with an empty target",
        ),
        // Why rows were not moved was said.
        CopyOutcome::Complete | CopyOutcome::AlreadyComplete if sum.not_moved() > 0 => {}
        CopyOutcome::AlreadyComplete | CopyOutcome::SourceChangedSince => output::error(
            "source and target have gone different ways since the copy was completed; --into-existing adds what the \
             target lacks",
        ),
        CopyOutcome::Complete => output::error(
            "the target does not hold every row of the source as it was copied: something else writes to it; \
             --into-existing adds what the target lacks",
        ),
        other => output::error(&format!("the target does not hold every row of the source: {other}")),
    }
}

fn name(kind: TransferKind) -> &'static str {
    match kind {
        TransferKind::User => "users",
        TransferKind::Group => "groups",
        TransferKind::GroupMembership => "memberships",
        TransferKind::Domain => "domains",
        TransferKind::Memory => "memories",
        TransferKind::Scheduling => "scheduling states",
        TransferKind::Edge => "links",
        TransferKind::ReviewEvent => "reviews",
    }
}
