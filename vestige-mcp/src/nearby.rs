//! What stands around results in their sessions, as agents read it.

use std::fmt::Write as _;

use rmcp::schemars::{self, JsonSchema};
use serde::Serialize;
use vestige_memory::Nearby;
use vestige_memory::text::counted;

use crate::budget::Room;
use crate::view::{Shown, nearby};

/// A memory near a result in its session.
#[derive(Serialize, JsonSchema)]
#[schemars(crate = "schemars", inline)]
pub(crate) struct NearbyView {
    id: String,
    /// The number of the result that it is, from 1, where its text stands; null if it is none of them.
    result: Option<usize>,
    /// How many characters its text has.
    characters: usize,
    /// How many of them are shown here, from the first.
    length: usize,
}

/// Where a memory stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// Shows what stands around one result after another, as long as there is room.
pub(crate) struct Nearest {
    room: Room,
    left_out: usize,
}

impl Nearest {
    /// For so many memories around results that were shown in `results`.
    pub(crate) fn new(results: &Room, memories: usize) -> Self {
        Self { room: Room::for_nearby(results, memories), left_out: 0 }
    }

    /// Appends the memories on one side of a result, which come oldest first, and returns what programs read
    /// of those that are shown. Each begins with a line of the answer's own, which says how far it is away.
    pub(crate) fn show(&mut self, text: &mut String, side: Side, memories: &[Nearby]) -> Vec<NearbyView> {
        let mut views = Vec::with_capacity(memories.len());
        for (at, near) in memories.iter().enumerate() {
            if self.room.is_full() {
                self.left_out += 1;
                continue;
            }
            let place = match side {
                Side::Before => format!("{} before", memories.len() - at),
                Side::After => format!("{} after", at + 1),
            };
            let (shown, length) = match near.result {
                Some(number) => (format!("result {number}"), 0),
                None => {
                    let Shown { text, view } = nearby(&near.record, self.room.next());
                    (text, view.length())
                }
            };
            let line = format!("\n- {place}: {shown}");
            self.room.used(&line);
            text.push_str(&line);
            let characters = near.record.content.chars().count();
            views.push(NearbyView {
                id: near.record.id.to_string(),
                result: near.result,
                characters,
                length,
            });
        }
        views
    }

    /// Appends how many memories there was no room for, if there are any.
    pub(crate) fn say_what_is_left_out(&self, text: &mut String) {
        if self.left_out > 0 {
            let _ = write!(
                text,
                "\n\n(no room for {} around the last results; call again with a smaller `limit`)",
                counted(self.left_out as u64, "memory")
            );
        }
    }
}
