//! A process that holds a lock and does not go on: a writer under SIGSTOP, a session that sleeps.
//!
//! Others read, or wait and say so at the end; when the holder goes on, everything comes to its end.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::Signal;

use super::child::{Ended, PATIENCE, Running, Until};
use super::context::{Backend, Context};
use super::scene::{Leaves, Scene};
use super::tally::Tally;
use super::victims::{Attempt, Victim};

/// How long a search may take while a writer stands still.
const READING: Duration = Duration::from_secs(20);
/// How long a holder stands still: a moment, after which everybody has to come to an end.
const MOMENT: Duration = Duration::from_millis(1500);
/// Longer than anybody waits for a lock.
const LONGER: Duration = Duration::from_secs(75);

/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    let mut tallies = Vec::new();
    for &backend in context.backends() {
        tallies.push(stopped_writer(context, backend)?);
    }
    if context.databases.is_some() {
        tallies.push(locked_table(context)?);
    }
    Ok(tallies)
}

/// A command that others have to wait for.
struct Waiting {
    attempt: Attempt,
    running: Running,
}

impl Waiting {
    fn start(victim: Victim, scene: &mut Scene) -> Result<Self> {
        let attempt = victim.attempt(scene)?;
        let running = scene.place.start(&attempt.args, attempt.input.clone())?;
        Ok(Self { attempt, running })
    }

    /// Whether it ends by itself within this time.
    fn ends_within(&mut self, time: Duration) -> Result<bool> {
        self.running.ends_within(time)
    }

    /// Waits for its end, and enters what it acknowledged.
    fn end(self, scene: &mut Scene, tally: &mut Tally) -> Result<Ended> {
        let ended = self.running.wait(Until::Overdue(PATIENCE + LONGER))?;
        self.attempt.acknowledge(&ended, &mut scene.ledger);
        if let Some(misbehaviour) = ended.misbehaviour() {
            tally.blame(misbehaviour);
        }
        Ok(ended)
    }
}

/// An import that is stopped in its midst.
fn stopped_writer(context: &Context, backend: Backend) -> Result<Tally> {
    const ATTACK: &str = "SIGSTOP of a writer";
    let mut tally = Tally::new(ATTACK, backend.name());
    let random = context.random(&format!("{ATTACK} {}", backend.name()));
    let mut scene = Scene::filled(context, backend, random, 40)?;
    let uncut = Waiting::start(Victim::Import, &mut scene)?.end(&mut scene, &mut tally)?;
    let mut waited_for = 0_u64;
    let mut gave_up = false;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.is_clean() {
        tally.tries += 1;
        let mut writer = Waiting::start(Victim::Import, &mut scene)?;
        let moment = scene.random.moment(uncut.took);
        let had_ended = writer.ends_within(moment)?;
        writer.running.signal(Signal::STOP);
        let search = scene.place.run_with(
            &["search", "who moved the harbour"],
            super::child::Input::Empty,
            Until::Overdue(READING),
        );
        let search = search?;
        if let Some(misbehaviour) = search.misbehaviour() {
            tally.blame(format!("while a writer stands still: {misbehaviour}"));
        } else if !search.succeeded() {
            tally.blame(format!("while a writer stands still: `search`: {}", search.complaint()));
        }
        let mut other = Waiting::start(Victim::Add, &mut scene)?;
        let is_waiting = !other.ends_within(MOMENT)?;
        waited_for += u64::from(is_waiting && !had_ended);
        // Once, as long as it takes: it gives up, and says why.
        if is_waiting && !context.is_short && !gave_up {
            gave_up = true;
            if !other.ends_within(LONGER)? {
                tally.blame(format!("`add` waits for longer than {} s", LONGER.as_secs()));
            }
        }
        writer.running.signal(Signal::CONT);
        let ended = other.end(&mut scene, &mut tally)?;
        if !ended.succeeded() && ended.took < MOMENT + LONGER && !gave_up {
            tally.blame(format!("`{}` did not wait: {}", ended.what, ended.complaint()));
        } else if !ended.succeeded() {
            tally.note(format!("after {} s: {}", ended.took.as_secs(), ended.complaint()));
        }
        let ended = writer.end(&mut scene, &mut tally)?;
        if !ended.succeeded() {
            tally.blame(format!("`{}` was stopped and went on, but: {}", ended.what, ended.complaint()));
        }
        scene.check(&mut tally, "stopped and continued", Leaves::Nothing)?;
    }
    tally.note(format!("{waited_for} of {} had to be waited for", tally.tries));
    Ok(tally)
}

/// A session that has locked the table of memories.
fn locked_table(context: &Context) -> Result<Tally> {
    const ATTACK: &str = "locked table";
    let mut tally = Tally::new(ATTACK, Backend::Postgres.name());
    let mut scene = Scene::filled(context, Backend::Postgres, context.random(ATTACK), 40)?;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.is_clean() {
        tally.tries += 1;
        let mut holder = scene.place.database().context("this needs a database")?.session()?;
        holder.run("BEGIN")?;
        holder.run("LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE")?;
        let mut waiting = Vec::new();
        for victim in [Victim::Add, Victim::Search, Victim::Update] {
            waiting.push(Waiting::start(victim, &mut scene)?);
        }
        let is_moment = context.is_short || tally.tries > 1;
        for waiting in &mut waiting {
            let ends = waiting.ends_within(if is_moment { MOMENT } else { LONGER })?;
            if !ends && !is_moment {
                tally.blame(format!("a command waits longer than {} s for a lock", LONGER.as_secs()));
            }
        }
        holder.run("ROLLBACK")?;
        drop(holder);
        for waiting in waiting {
            let ended = waiting.end(&mut scene, &mut tally)?;
            if !ended.succeeded() && is_moment {
                tally.blame(format!("`{}` did not wait: {}", ended.what, ended.complaint()));
            } else if !ended.succeeded() {
                tally.note(format!("after {} s: {}", ended.took.as_secs(), ended.complaint()));
            }
        }
        scene.check(&mut tally, "locked and unlocked", Leaves::Nothing)?;
    }
    Ok(tally)
}
