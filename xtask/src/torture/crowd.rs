//! Fifty processes at once on one store, each against its own books.

use std::thread;

use anyhow::{Result, bail};

use super::child::{PATIENCE, Until};
use super::context::{Backend, Context};
use super::scene::{Leaves, Scene};
use super::tally::Tally;
use super::victims::{Attempt, Victim};

/// How many processes run at once.
const PROCESSES: usize = 50;
/// What the processes do by turns. The last of them also reads what it wrote.
const DONE: [Victim; 5] = [Victim::Add, Victim::Update, Victim::Delete, Victim::Add, Victim::Search];

/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    context.backends().iter().map(|&backend| crowd(context, backend)).collect()
}

fn crowd(context: &Context, backend: Backend) -> Result<Tally> {
    let attack = format!("{PROCESSES} processes");
    let mut tally = Tally::new(&attack, backend.name());
    let random = context.random(&format!("{attack} {}", backend.name()));
    // No two processes may change the same memory, or nobody could say what has to be there.
    let mut scene = Scene::filled(context, backend, random, 4 * PROCESSES as u64)?;
    let clock = context.clock();
    let mut rounds = 0;
    let (mut refused, mut complaint) = (0, String::new());
    while clock.goes_on(rounds)? && tally.is_clean() {
        rounds += 1;
        let mut attempts = Vec::with_capacity(PROCESSES);
        for number in 0..PROCESSES {
            attempts.push(DONE[number % DONE.len()].attempt(&mut scene)?);
        }
        let place = &scene.place;
        let run = |attempt: &Attempt| {
            place.run_with(&attempt.args, attempt.input.clone(), Until::Overdue(PATIENCE))
        };
        let ended: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = attempts.iter().map(|attempt| scope.spawn(move || run(attempt))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        for (attempt, ended) in attempts.iter().zip(ended) {
            let Ok(ended) = ended else { bail!("a thread of the crowd panicked") };
            let ended = ended?;
            tally.tries += 1;
            attempt.acknowledge(&ended, &mut scene.ledger);
            if let Some(misbehaviour) = ended.misbehaviour() {
                tally.blame(misbehaviour);
            } else if ended.stderr.contains("is unavailable") {
                refused += 1;
                complaint = ended.complaint();
            } else if !ended.succeeded() {
                tally.blame(format!("`{}` failed among others: {}", ended.what, ended.complaint()));
            }
        }
        scene.check(&mut tally, &format!("round {rounds}"), Leaves::Nothing)?;
    }
    // A server may have more to do than this machine can bear, but not for all of them.
    if refused == tally.tries {
        tally.blame(format!("every command was refused: {complaint}"));
    } else if refused > 0 {
        tally.note(format!("{refused} commands were refused, such as: {complaint}"));
    }
    Ok(tally)
}
