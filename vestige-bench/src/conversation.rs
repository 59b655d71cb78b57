//! Conversations of a set as sessions of a store.

use std::collections::HashMap;

use anyhow::{Context, Result};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use vestige_traits::MemoryRecord;

use crate::data::{Question, SetMemory};

/// How the memories of a set stand in sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sessions {
    /// As the set has them, in the order of the file.
    Own,
    /// In none.
    None,
    /// In sessions of the same lengths, but with memories of the scope that are drawn by lot.
    Lot,
    /// In their own, in an order that is drawn by lot.
    Shuffled,
}

/// The records of a set: with ids that follow from the set's, and taken in when they were said. What was said
/// at one time is a microsecond apart, in the order of the file.
///
/// # Errors
///
/// Names the memory whose time cannot be read.
pub fn records(memories: &[SetMemory], sessions: Sessions) -> Result<Vec<MemoryRecord>> {
    let mut records: Vec<MemoryRecord> = memories.iter().map(SetMemory::to_record).collect();
    // Where each memory stands, by the file.
    let mut places = Vec::with_capacity(memories.len());
    for (memory, order) in memories.iter().zip(0..) {
        let said = memory.said_at.as_deref().map(said_at).transpose();
        let said = said.with_context(|| format!("memory {}", memory.id))?;
        let created_at = said.unwrap_or(DateTime::UNIX_EPOCH) + TimeDelta::microseconds(order);
        places.push((memory.session.as_ref().map(|name| format!("{}/{name}", memory.scope)), created_at));
    }
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, memory) in memories.iter().enumerate() {
        let group = match sessions {
            Sessions::Own | Sessions::None => continue,
            Sessions::Lot => Some(memory.scope.as_str()),
            Sessions::Shuffled => places[at].0.as_deref(),
        };
        if let Some(group) = group {
            groups.entry(group).or_default().push(at);
        }
    }
    // The place that each takes.
    let mut taken: Vec<usize> = (0..memories.len()).collect();
    for (group, places) in groups {
        let mut drawn = places.clone();
        drawn.shuffle(&mut StdRng::from_seed(*blake3::hash(group.as_bytes()).as_bytes()));
        places.into_iter().zip(drawn).for_each(|(at, drawn)| taken[at] = drawn);
    }
    for (record, at) in records.iter_mut().zip(taken) {
        let (session, created_at) = &places[at];
        record.created_at = *created_at;
        record.session = session.clone().filter(|_| sessions != Sessions::None);
    }
    Ok(records)
}

/// When each question is asked: at the time that the set gives it, else when the last memory of its scope was
/// said; none where the set has no times.
///
/// # Errors
///
/// Names the question or the memory whose time cannot be read.
pub fn asked_at(memories: &[SetMemory], questions: &[Question]) -> Result<Vec<Option<DateTime<Utc>>>> {
    let mut last: HashMap<&str, DateTime<Utc>> = HashMap::new();
    for memory in memories {
        let Some(said) = memory.said_at.as_deref() else { continue };
        let said = said_at(said).with_context(|| format!("memory {}", memory.id))?;
        let last = last.entry(&memory.scope).or_insert(said);
        *last = said.max(*last);
    }
    let asked = questions.iter().map(|question| match question.asked_at.as_deref() {
        Some(asked) => said_at(asked).map(Some).with_context(|| format!("question {}", question.id)),
        None => Ok(last.get(question.scope.as_str()).copied()),
    });
    asked.collect()
}

/// The time of `1:56 pm on 8 May, 2023` (LoCoMo), of `2023/05/20 (Sat) 02:21` (LongMemEval) or of RFC 3339.
///
/// # Errors
///
/// For any other text.
pub fn said_at(text: &str) -> Result<DateTime<Utc>> {
    const FORMATS: [&str; 2] = ["%I:%M %P on %d %B, %Y", "%Y/%m/%d (%a) %H:%M"];
    let mut read = FORMATS.iter().filter_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    match read.next() {
        Some(time) => Ok(time.and_utc()),
        None => text.parse().with_context(|| format!("{text:?} is no time that is known here")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> Vec<SetMemory> {
        let memory = |n: usize| SetMemory {
            id: format!("m{n}"),
            scope: "talks".to_owned(),
            session: Some(format!("{}", n / 10)),
            said_at: Some("1:56 pm on 8 May, 2023".to_owned()),
            content: format!("turn {n}"),
        };
        (0..30).map(memory).collect()
    }

    /// The contents of each session, in its order.
    fn turns(sessions: Sessions) -> Vec<Vec<String>> {
        let mut records = records(&set(), sessions).unwrap();
        records.sort_by_key(|record| record.created_at);
        let of = |name: &str| {
            let in_it = records.iter().filter(|record| record.session.as_deref() == Some(name));
            in_it.map(|record| record.content.clone()).collect()
        };
        ["talks/0", "talks/1", "talks/2"].map(of).to_vec()
    }

    #[test]
    fn sessions_are_those_of_the_set_or_drawn_by_lot() {
        let own = turns(Sessions::Own);
        assert_eq!(own[1], (10..20).map(|n| format!("turn {n}")).collect::<Vec<_>>());
        assert!(turns(Sessions::None).iter().all(Vec::is_empty));
        let sorted = |mut turns: Vec<String>| {
            turns.sort();
            turns
        };
        let shuffled = turns(Sessions::Shuffled);
        assert_ne!(shuffled[1], own[1]);
        assert_eq!(sorted(shuffled[1].clone()), sorted(own[1].clone()));
        let lot = turns(Sessions::Lot);
        assert_ne!(sorted(lot[1].clone()), sorted(own[1].clone()));
        assert_eq!(lot.iter().map(Vec::len).collect::<Vec<_>>(), [10; 3]);
        assert_eq!(sorted(lot.concat()), sorted(own.concat()));
    }

    #[test]
    fn a_question_is_asked_at_its_time_or_at_the_end_of_its_scope() {
        let question = |scope: &str, asked_at: Option<&str>| Question {
            id: "q".to_owned(),
            scope: scope.to_owned(),
            category: serde_json::Value::Null,
            query: "what?".to_owned(),
            relevant: Vec::new(),
            asked_at: asked_at.map(str::to_owned),
        };
        let mut memories = set();
        memories[3].said_at = Some("2:00 pm on 9 June, 2023".to_owned());
        let questions = [
            question("talks", Some("2023/05/20 (Sat) 02:21")),
            question("talks", None),
            question("others", None),
        ];
        let expected = ["2023-05-20T02:21:00Z", "2023-06-09T14:00:00Z"].map(|time| time.parse().ok());
        assert_eq!(asked_at(&memories, &questions).unwrap(), [expected[0], expected[1], None]);
        assert!(asked_at(&memories, &[question("talks", Some("soon"))]).is_err());
    }

    #[test]
    fn times_are_read_as_sets_write_them() {
        let read = |text| said_at(text).unwrap().to_rfc3339();
        assert_eq!(read("1:56 pm on 8 May, 2023"), "2023-05-08T13:56:00+00:00");
        assert_eq!(read("12:09 am on 13 September, 2023"), "2023-09-13T00:09:00+00:00");
        assert_eq!(read("2023/05/20 (Sat) 02:21"), "2023-05-20T02:21:00+00:00");
        assert_eq!(read("2023-05-20T02:21:00Z"), "2023-05-20T02:21:00+00:00");
        assert!(said_at("yesterday").is_err());
    }
}
