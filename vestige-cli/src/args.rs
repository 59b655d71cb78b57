//! Flags that several commands share, and what is read from stdin.

use std::collections::HashSet;
use std::io::{IsTerminal, Read};

use chrono::{DateTime, Utc};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::{Map, Value};
use vestige_memory::json::losses;
use vestige_memory::times::When;
use vestige_traits::{IngestContext, MemoryFilter, SearchMode};

use crate::failure::{CommandResult, Failure};

/// Which memories to look at.
#[derive(Args, Debug, Default)]
pub(crate) struct FilterArgs {
    /// Only memories with this tag; give several for memories with any of them
    #[arg(short, long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Only memories of this type; give several for any of them
    #[arg(short = 'T', long = "type", value_name = "TYPE")]
    types: Vec<String>,

    /// Only memories of this code base; give several for any of them
    #[arg(short, long = "codebase", value_name = "NAME")]
    codebases: Vec<String>,

    /// Only memories of this session: a conversation, or a work session; give several for any of them
    #[arg(long = "session", value_name = "NAME")]
    sessions: Vec<String>,

    /// Only memories of this domain; give several for any of them
    #[arg(long = "domain", value_name = "ID")]
    domains: Vec<String>,

    /// Only memories created since then: a day, a time, or a span (7d, 12h); UTC
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    since: Option<When>,

    /// Only memories created until then; a day counts to its end
    #[arg(long, value_name = "WHEN", value_parser = When::parse)]
    until: Option<When>,

    /// Only memories whose probability of recall is at least this, 0 to 1
    #[arg(long, value_name = "P")]
    min_retrievability: Option<f64>,
}

impl FilterArgs {
    pub(crate) fn filter(self, now: DateTime<Utc>) -> CommandResult<MemoryFilter> {
        let bound = |flag: &str,
                     when: Option<When>,
                     read: fn(When, DateTime<Utc>) -> Option<DateTime<Utc>>| {
            when.map(|when| {
                read(when, now).ok_or_else(|| Failure::usage(format!("{flag}: lies outside of the calendar")))
            })
            .transpose()
        };
        Ok(MemoryFilter::new()
            .created_from(bound("--since", self.since, When::start)?)
            .created_before(bound("--until", self.until, When::end)?)
            .domains(self.domains)
            .tags(self.tags)
            .node_types(self.types)
            .codebases(self.codebases)
            .sessions(self.sessions)
            .min_retrievability(self.min_retrievability))
    }
}

/// Reads a search mode, and shows the modes in help and completions.
pub(crate) fn search_mode() -> impl TypedValueParser<Value = SearchMode> {
    PossibleValuesParser::new(SearchMode::ALL.map(SearchMode::as_str)).try_map(|name| name.parse())
}

/// `KEY=VALUE`, the value being JSON if it reads as JSON and loses nothing by it, else text: `12e4567`,
/// `3.10` and forty digits are hashes and versions, not numbers. An array or an object that would lose
/// something is refused: as a text it would not be found to be one.
pub(crate) fn meta(text: &str) -> Result<(String, Value), String> {
    let (key, value) =
        text.split_once('=').ok_or("has no `=`; write KEY=VALUE, such as ticket=QW-204 or retries=3")?;
    if key.is_empty() {
        return Err("has no key before the `=`".to_owned());
    }
    let json: Option<Value> = serde_json::from_str(value).ok();
    let json = match json {
        Some(json @ (Value::Array(_) | Value::Object(_))) => match losses(value).first() {
            Some(loss) => return Err(format!("{key}: {loss}")),
            None => Some(json),
        },
        json => json.filter(|_| losses(value).is_empty()),
    };
    Ok((key.to_owned(), json.unwrap_or_else(|| Value::from(value))))
}

/// Refuses a key of the metadata for which two values are given: one of them would be lost.
pub(crate) fn check_meta(entries: &[(String, Value)], context: &IngestContext) -> CommandResult {
    let mut seen = HashSet::new();
    if let Some((key, _)) = entries.iter().find(|(key, _)| !seen.insert(key)) {
        return Err(Failure::usage(format!("--meta: the key {key:?} is given twice; give it once")));
    }
    context.overwrites(seen).map_or(Ok(()), |key| {
        let flag = match key {
            "file" => "--file",
            "topics" => "--topic",
            _ => "--session",
        };
        Err(Failure::usage(format!("--meta: {flag} sets the key {key:?} too; give one of them")))
    })
}

/// Sets the keys in a metadata object.
pub(crate) fn set_meta(metadata: &mut Value, entries: Vec<(String, Value)>) {
    if let Value::Object(map) = metadata {
        map.extend(entries);
    } else {
        *metadata = Value::Object(Map::from_iter(entries));
    }
}

/// The text of an argument; stdin for `-`, and where nothing is given but stdin is no terminal.
pub(crate) async fn text_or_stdin(text: Option<String>, what: &str) -> CommandResult<String> {
    match text {
        Some(text) if text != "-" => Ok(text),
        None if std::io::stdin().is_terminal() => {
            Err(Failure::usage(format!("no {what}; give it as an argument, or `-` to read it from stdin")))
        }
        // On another thread, so that Ctrl-C is heard while nothing comes.
        _ => apart(stdin_text).await,
    }
}

/// Runs work that blocks on another thread. Whoever stops waiting for it leaves it behind.
pub(crate) async fn apart<T: Send + 'static>(
    work: impl FnOnce() -> CommandResult<T> + Send + 'static,
) -> CommandResult<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Failure::message(error.to_string()))?
}

/// What stdin holds, up to what a memory or a question may hold.
fn stdin_text() -> CommandResult<String> {
    // Beyond this nothing is accepted, so a larger input need not fit into memory.
    const MOST: u64 = 64 << 20;
    let mut bytes = Vec::new();
    std::io::stdin().lock().take(MOST + 1).read_to_end(&mut bytes).map_err(Failure::io("stdin"))?;
    if bytes.len() as u64 > MOST {
        return Err(Failure::message(format!("stdin: is longer than {} MiB", MOST >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        Failure::message(format!(
            "stdin: is not UTF-8, from byte {} on; convert it first",
            error.utf8_error().valid_up_to() + 1
        ))
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text)).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_value_is_json_where_it_reads_as_json() {
        for (text, key, value) in [
            ("retries=3", "retries", json!(3)),
            ("ok=true", "ok", json!(true)),
            ("list=[1,\"a\"]", "list", json!([1, "a"])),
            ("ticket=QW-204", "ticket", json!("QW-204")),
            ("quoted=\"3\"", "quoted", json!("3")),
            ("empty=", "empty", json!("")),
            ("formula=a=b", "formula", json!("a=b")),
            ("weight=-1.5", "weight", json!(-1.5)),
            ("version=3.10", "version", json!("3.10")),
            ("digits=0.1234567890123456789", "digits", json!("0.1234567890123456789")),
            ("once={\"a\":{\"a\":2}}", "once", json!({"a": {"a": 2}})),
            ("commit=1234e56", "commit", json!("1234e56")),
            ("commit=12345678901234567890123", "commit", json!("12345678901234567890123")),
        ] {
            assert_eq!(meta(text), Ok((key.to_owned(), value)), "{text}");
        }
        assert!(meta("ticket").is_err() && meta("=x").is_err());
        for (lossy, named) in [
            ("versions=[3.9, 3.10]", "3.10"),
            ("ids=[12345678901234567890123]", "12345678901234567890123"),
            ("twice={\"a\":1,\"a\":2}", "\"a\""),
        ] {
            let error = meta(lossy).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
