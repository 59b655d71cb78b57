//! The file of LongMemEval (Wu et al., ICLR 2025): `longmemeval_s`, `longmemeval_m` and `longmemeval_oracle`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::data::{Question, SetMemory};

/// A question with the sessions that it is asked about.
#[derive(Debug, Deserialize)]
struct Instance {
    question_id: String,
    question_type: String,
    question: String,
    /// As `2023/05/30 (Tue) 23:40`.
    #[serde(default)]
    question_date: Option<String>,
    /// As `2023/05/20 (Sat) 02:21`, one for each session.
    haystack_dates: Vec<String>,
    haystack_session_ids: Vec<String>,
    haystack_sessions: Vec<Vec<Turn>>,
    answer_session_ids: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Turn {
    role: String,
    content: String,
    /// Whether it holds the evidence. Said of some turns alone.
    #[serde(default)]
    has_answer: bool,
}

/// Reads memories and questions. A turn is a memory, with its role in front, as in `user: …`; blank turns are
/// left out. What a question is searched within are its own sessions.
///
/// The answers of a question are the turns that hold the evidence; where none says so, all turns of the
/// sessions that do. A question whose id ends in `_abs` has none.
///
/// # Errors
///
/// Names the file, and the place in it that cannot be read.
pub fn read(path: &Path) -> Result<(Vec<SetMemory>, Vec<Question>)> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let instances: Vec<Instance> =
        serde_json::from_reader(BufReader::new(file)).with_context(|| path.display().to_string())?;
    let (mut memories, mut questions) = (Vec::new(), Vec::new());
    for instance in instances {
        let Instance { question_id, haystack_dates, haystack_session_ids, haystack_sessions, .. } = instance;
        let of_session = || format!("{}: question {question_id}", path.display());
        ensure!(
            haystack_dates.len() == haystack_sessions.len()
                && haystack_session_ids.len() == haystack_sessions.len(),
            "{} has {} sessions, {} dates and {} ids of sessions",
            of_session(),
            haystack_sessions.len(),
            haystack_dates.len(),
            haystack_session_ids.len()
        );
        let (mut evidence, mut answering) = (Vec::new(), Vec::new());
        let sessions = haystack_session_ids.iter().zip(haystack_dates).zip(haystack_sessions);
        for (place, ((session, date), turns)) in sessions.enumerate() {
            for (n, turn) in turns.into_iter().enumerate() {
                if turn.content.trim().is_empty() {
                    continue;
                }
                // A haystack may hold a session twice.
                let id = format!("{question_id}/{place}/{session}/{n}");
                if turn.has_answer {
                    evidence.push(id.clone());
                }
                if instance.answer_session_ids.contains(session) {
                    answering.push(id.clone());
                }
                memories.push(SetMemory {
                    id,
                    scope: question_id.clone(),
                    session: Some(session.clone()),
                    said_at: Some(date.clone()),
                    content: format!("{}: {}", turn.role, turn.content),
                });
            }
        }
        let relevant = match question_id.ends_with("_abs") {
            true => Vec::new(),
            false if evidence.is_empty() => answering,
            false => evidence,
        };
        questions.push(Question {
            scope: question_id.clone(),
            id: question_id,
            category: instance.question_type.into(),
            query: instance.question,
            relevant,
            asked_at: instance.question_date,
        });
    }
    Ok((memories, questions))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<(Vec<SetMemory>, Vec<Question>)> {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("longmemeval_s.json");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    /// One question of each kind, in the shape of the published files.
    const FILE: &str = r#"[
      {"question_id": "q1", "question_type": "single-session-user", "question": "What did I plant?",
       "answer": "roses", "question_date": "2023/05/30 (Tue) 23:40",
       "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/22 (Mon) 11:02"],
       "haystack_session_ids": ["s1", "answer_s2"],
       "haystack_sessions": [
         [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": " "}],
         [{"role": "user", "content": "I planted roses.", "has_answer": true},
          {"role": "assistant", "content": "Nice.", "has_answer": false}]],
       "answer_session_ids": ["answer_s2"]},
      {"question_id": "q2", "question_type": "multi-session", "question": "Where?", "answer": 3,
       "question_date": "2023/05/30 (Tue) 23:40", "haystack_dates": ["2023/05/20 (Sat) 02:21"],
       "haystack_session_ids": ["s3"], "haystack_sessions": [[{"role": "user", "content": "There."}]],
       "answer_session_ids": ["s3"]},
      {"question_id": "q3_abs", "question_type": "multi-session", "question": "Who?", "answer": "nobody",
       "question_date": "2023/05/30 (Tue) 23:40", "haystack_dates": ["2023/05/20 (Sat) 02:21"],
       "haystack_session_ids": ["s4"], "haystack_sessions": [[{"role": "user", "content": "Me."}]],
       "answer_session_ids": ["s4"]}]"#;

    #[test]
    fn turns_are_memories_and_evidence_is_the_answer() {
        let (memories, questions) = read_text(FILE).unwrap();
        let contents: Vec<_> = memories.iter().map(|memory| memory.content.as_str()).collect();
        assert_eq!(
            contents,
            ["user: Hello.", "user: I planted roses.", "assistant: Nice.", "user: There.", "user: Me."]
        );
        assert_eq!(memories[1].session.as_deref(), Some("answer_s2"));
        assert_eq!(
            (&*memories[1].scope, memories[1].said_at.as_deref()),
            ("q1", Some("2023/05/22 (Mon) 11:02"))
        );
        let relevant: Vec<_> = questions.iter().map(|question| question.relevant.as_slice()).collect();
        assert_eq!(relevant[0], [memories[1].id.clone()]);
        assert_eq!(relevant[1], [memories[3].id.clone()], "without evidence, the session that answers");
        assert!(relevant[2].is_empty(), "nothing answers it");
        assert_eq!(questions[0].asked_at.as_deref(), Some("2023/05/30 (Tue) 23:40"));
        assert_eq!(questions[0].category_name().as_deref(), Some("single-session-user"));
        let records = crate::conversation::records(&memories, crate::conversation::Sessions::Own).unwrap();
        assert_eq!(records[1].session.as_deref(), Some("q1/answer_s2"));
    }

    #[test]
    fn a_file_of_another_shape_is_named() {
        let broken = FILE.replace(r#"["s3"], "haystack_sessions""#, r#"[], "haystack_sessions""#);
        let error = format!("{:#}", read_text(&broken).unwrap_err());
        assert!(error.contains("question q2") && error.contains("0 ids of sessions"), "{error}");
        let error = format!("{:#}", read_text("{}").unwrap_err());
        assert!(error.contains("longmemeval_s.json"), "{error}");
    }
}
