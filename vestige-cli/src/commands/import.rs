//! `vestige import`: its flags and its three acts (check, store, say).

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::builder::RangedI64ValueParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tokio::sync::mpsc;
use vestige_cli::{ImportDefaults, ImportLine, Line, LineReader, MAX_LINE_BYTES, UnknownKeys};
use vestige_memory::text::counted;
use vestige_migrate::archive::is_header;
use vestige_traits::MemoryRecord;

use crate::app::App;
use crate::failure::{CommandResult, Failure};
use crate::importer::{Importer, MOST_COMPLAINTS, Totals};
use crate::interrupt::Interrupt;
use crate::output::{self, Output};
use crate::progress;

/// Store many memories from a file of JSON lines
///
/// Each line is an object with "content". Optional keys are "id" (a UUID), "node_type", "tags", "codebase",
/// "session", "created_at" (RFC 3339) and "metadata" (an object).
///
/// The whole file is checked before anything is stored. Stdin is stored up to its first bad line.
///
/// You can import a file again: it adds what is missing and changes nothing. A line without an id gets one
/// that is computed from the line, so the same line is always the same memory. A memory with the same id and
/// other content is left as it is, and reported.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige import memories.jsonl
  jq -c '{content: .text, created_at: .date}' notes.json | vestige import - --codebase tidewater
  vestige import chat.jsonl --unknown-keys metadata --dry-run")]
pub(crate) struct ImportArgs {
    /// The file; `-` reads stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The type of memories whose line names none
    #[arg(short = 'T', long = "type", value_name = "TYPE", default_value = MemoryRecord::DEFAULT_NODE_TYPE)]
    node_type: String,

    /// A tag to add to each memory; may be given several times
    #[arg(short, long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// The code base of memories whose line names none
    #[arg(short, long, value_name = "NAME")]
    codebase: Option<String>,

    /// What to do with keys that the format does not know
    #[arg(long, value_enum, default_value_t = Unknown::Error)]
    unknown_keys: Unknown,

    /// Skip bad lines and store the others; the exit code is still 1
    #[arg(long)]
    skip_bad: bool,

    /// Store lines too that hold what looks like a credential; without it they are bad lines
    #[arg(long)]
    allow_secrets: bool,

    /// Check the lines and store nothing; the exit code is 1 if one is bad
    #[arg(long)]
    dry_run: bool,

    /// How many memories to store in one transaction
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = batch_sizes())]
    batch_size: u16,
}

fn batch_sizes() -> RangedI64ValueParser<u16> {
    RangedI64ValueParser::new().range(1..=10_000)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Unknown {
    /// refuse the line
    Error,
    /// put them into the metadata
    Metadata,
    /// ignore them
    Ignore,
}

#[derive(Serialize)]
struct Summary<'a> {
    file: &'a str,
    #[serde(flatten)]
    totals: &'a Totals,
}

/// From how many bytes of lines on a batch is stored, however few lines they are.
const BATCH_BYTES: u64 = 8 << 20;
/// How many lines are read before they are wanted.
const LINES_AHEAD: usize = 16;

pub(crate) async fn run(args: ImportArgs, app: &App, out: Output) -> CommandResult {
    let defaults = args.defaults(app)?;
    let source = Source::open(&args.file)?;
    let bad = match &source.kind {
        Kind::File { path, .. } => check(path, &source.label, &defaults, app)?,
        Kind::Stream(_) => 0,
    };
    if bad > 0 && !args.skip_bad {
        output::error(&format!(
            "{}: {}, so nothing was stored; mend the file, or store the rest of it with --skip-bad",
            source.label,
            counted(bad, "bad line")
        ));
        return Err(Failure::Reported);
    }
    if args.dry_run {
        return dry_run(&source, &defaults, app, out).await;
    }
    let memory = app.memory_for_texts().await?;
    let mut importer = Importer::new(&memory, &source.label);
    importer.totals.bad = bad;
    let stored = read_and_store(&source, &args, &defaults, &mut importer, app).await;
    if stored.is_err() {
        importer.say_what_is_left().await;
    }
    say(&source.label, &importer.totals, stored, out)
}

impl ImportArgs {
    /// What the flags say for every line. What no line could be stored with is refused here, once.
    fn defaults(&self, app: &App) -> CommandResult<ImportDefaults> {
        let mut record = MemoryRecord::new_at("any", app.now());
        record.node_type.clone_from(&self.node_type);
        record.tags.clone_from(&self.tags);
        record.codebase.clone_from(&self.codebase);
        record.validate()?;
        Ok(ImportDefaults {
            node_type: self.node_type.clone(),
            tags: self.tags.clone(),
            codebase: self.codebase.clone(),
            unknown_keys: match self.unknown_keys {
                Unknown::Error => UnknownKeys::Error,
                Unknown::Metadata => UnknownKeys::Metadata,
                Unknown::Ignore => UnknownKeys::Ignore,
            },
            allow_secrets: self.allow_secrets,
            now: app.now(),
        })
    }
}

/// Where the lines come from.
struct Source {
    label: String,
    kind: Kind,
}

enum Kind {
    /// Can be read twice.
    File { path: PathBuf, length: u64 },
    /// Can be read once: stdin, or a pipe with a name such as the shell's `<(…)`.
    Stream(Option<PathBuf>),
}

impl Source {
    fn open(file: &Path) -> CommandResult<Self> {
        if file == Path::new("-") {
            return Ok(Self { label: "stdin".to_owned(), kind: Kind::Stream(None) });
        }
        let label = file.display().to_string();
        let metadata = std::fs::metadata(file).map_err(Failure::io(&label))?;
        if metadata.is_dir() {
            return Err(Failure::message(format!("{label}: is a folder; name a file of JSON lines")));
        }
        if !metadata.is_file() {
            return Ok(Self { label, kind: Kind::Stream(Some(file.to_owned())) });
        }
        Ok(Self { label, kind: Kind::File { path: file.to_owned(), length: metadata.len() } })
    }

    fn reader(&self) -> CommandResult<LineReader<Box<dyn BufRead + Send>>> {
        let source: Box<dyn BufRead + Send> = match &self.kind {
            Kind::File { path, .. } | Kind::Stream(Some(path)) => {
                let file = File::open(path).map_err(Failure::io(&self.label))?;
                Box::new(BufReader::with_capacity(1 << 18, file))
            }
            Kind::Stream(None) => Box::new(BufReader::with_capacity(1 << 16, std::io::stdin())),
        };
        Ok(LineReader::new(source))
    }

    fn length(&self) -> Option<u64> {
        match self.kind {
            Kind::File { length, .. } => Some(length),
            Kind::Stream(_) => None,
        }
    }
}

/// A line, or why it is none.
type Parsed = Result<Option<ImportLine>, String>;

/// A line that was read; none at the end.
struct Read {
    number: u64,
    /// How many bytes were read so far.
    bytes: u64,
    line: Option<Parsed>,
}

/// The lines of a source, read on a thread of their own: while nothing comes, Ctrl-C is heard.
struct Lines<'a> {
    queue: mpsc::Receiver<io::Result<Read>>,
    label: &'a str,
    interrupt: &'a Interrupt,
}

impl<'a> Lines<'a> {
    fn of(source: &'a Source, defaults: &ImportDefaults, app: &'a App) -> CommandResult<Self> {
        // A line may be megabytes long.
        let (sender, queue) = mpsc::channel(LINES_AHEAD);
        let (mut reader, defaults) = (source.reader()?, defaults.clone());
        std::thread::spawn(move || {
            loop {
                let line = next_line(&mut reader).map(|line| line.map(|line| parse(line, &defaults)));
                let last = !matches!(line, Ok(Some(_)));
                let (number, bytes) = (reader.number(), reader.bytes());
                let placed = |line: Option<ImportLine>| line.map(|line| line.numbered(number));
                let line = line.map(|line| line.map(|line| line.map(placed)));
                if sender.blocking_send(line.map(|line| Read { number, bytes, line })).is_err() || last {
                    return;
                }
            }
        });
        Ok(Self { queue, label: &source.label, interrupt: &app.interrupt })
    }

    async fn next(&mut self) -> CommandResult<Read> {
        let read = self.interrupt.guard(async { Ok(self.queue.recv().await) }).await?;
        match read {
            Some(read) => read.map_err(Failure::io(self.label)),
            None => Err(Failure::message(format!("{}: reading it ended before its end", self.label))),
        }
    }
}

/// The next line. An archive, whose lines are no memories, is refused at its first.
fn next_line<R: BufRead>(reader: &mut LineReader<R>) -> io::Result<Option<Line<'_>>> {
    let is_first = reader.number() == 0;
    match reader.next_line()? {
        Some(Line::Bytes(bytes)) if is_first && is_header(bytes) => {
            Err(io::Error::other("is an archive; bring it in by `vestige restore`"))
        }
        line => Ok(line),
    }
}

/// A line as the importer wants it.
fn parse(line: Line<'_>, defaults: &ImportDefaults) -> Parsed {
    match line {
        Line::Bytes(bytes) => ImportLine::parse(bytes, defaults),
        Line::TooLong => Err(format!("is longer than {} MiB; split it", MAX_LINE_BYTES >> 20)),
    }
}

/// Names the bad lines of a file, and counts them.
fn check(path: &Path, label: &str, defaults: &ImportDefaults, app: &App) -> CommandResult<u64> {
    let file = File::open(path).map_err(Failure::io(label))?;
    let length = file.metadata().map_err(Failure::io(label))?.len();
    let mut reader = LineReader::new(BufReader::with_capacity(1 << 18, file));
    let bar = progress::bytes(Some(length), "checking");
    let mut bad = 0;
    while let Some(line) = next_line(&mut reader).map_err(Failure::io(label))? {
        if let Err(reason) = parse(line, defaults) {
            bad += 1;
            bar.suspend(|| complain(label, reader.number(), &reason, bad));
        }
        if reader.number() % 1024 == 0 {
            bar.set_position(reader.bytes());
            app.interrupt.check()?;
        }
    }
    bar.finish_and_clear();
    Ok(bad)
}

fn complain(label: &str, number: u64, reason: &str, count: u64) {
    if count <= MOST_COMPLAINTS {
        output::error(&format!("{label}:{number}: {reason}"));
    } else if count == MOST_COMPLAINTS + 1 {
        output::error(&format!("{label}: there are more bad lines"));
    }
}

/// Stores every good line. The error says why it stopped before the end.
async fn read_and_store(
    source: &Source,
    args: &ImportArgs,
    defaults: &ImportDefaults,
    importer: &mut Importer<'_>,
    app: &App,
) -> CommandResult {
    let checked = source.length().is_some();
    let bar = progress::bytes(source.length(), "storing");
    let mut lines = Lines::of(source, defaults, app)?;
    let mut batch = Vec::with_capacity(usize::from(args.batch_size));
    // How many bytes were read when the batch began.
    let mut begin = 0;
    loop {
        let Read { number, bytes, line } = lines.next().await.inspect_err(|_| bar.finish_and_clear())?;
        let end = line.is_none();
        match line.transpose() {
            Ok(line) => batch.extend(line.flatten().map(|line| (number, line))),
            // The bad lines of a file were named when it was checked.
            Err(_) if checked && args.skip_bad => {}
            Err(reason) => {
                importer.totals.bad += 1;
                bar.suspend(|| complain(&source.label, number, &reason, importer.totals.bad));
                if !args.skip_bad {
                    importer.store(std::mem::take(&mut batch)).await?;
                    // What comes next may be few lines, which would not build what was taken down.
                    app.interrupt.guard(importer.finish()).await?;
                    return Err(Failure::message(format!(
                        "{}: stopped at line {number}; mend it and import again, or pass bad lines over with --skip-bad",
                        source.label
                    )));
                }
            }
        }
        let is_full = batch.len() >= usize::from(args.batch_size) || bytes - begin >= BATCH_BYTES;
        if is_full || end {
            begin = bytes;
            importer.store(std::mem::take(&mut batch)).await?;
            bar.set_position(bytes);
            tracing::info!(
                line = number,
                stored = importer.totals.stored,
                unchanged = importer.totals.unchanged,
                "committed"
            );
            if end {
                bar.set_message("indexing");
                let finished = app.interrupt.guard(importer.finish()).await;
                bar.finish_and_clear();
                return finished;
            }
        }
    }
}

/// Says what is stored, whether or not the end was reached.
fn say(label: &str, totals: &Totals, ended: CommandResult, mut out: Output) -> CommandResult {
    if let Err(failure) = ended {
        output::note(&format!(
            "{label}: {} stored before that, {} there already; the same command goes on from there",
            counted(totals.stored, "memory"),
            totals.unchanged
        ));
        return Err(failure);
    }
    if out.json {
        out.json_value(&Summary { file: label, totals })?;
    } else {
        out.line(format_args!(
            "{label}: {} stored, {} there already{}",
            counted(totals.stored, "memory"),
            totals.unchanged,
            totals.rest()
        ))?;
    }
    out.finish()?;
    if totals.bad + totals.conflicts > 0 { Err(Failure::Reported) } else { Ok(()) }
}

async fn dry_run(source: &Source, defaults: &ImportDefaults, app: &App, mut out: Output) -> CommandResult {
    let mut lines = Lines::of(source, defaults, app)?;
    let checked = source.length().is_some();
    let (mut good, mut bad) = (0_u64, 0_u64);
    loop {
        let Read { number, line, .. } = lines.next().await?;
        let Some(line) = line else { break };
        match line {
            Ok(line) => good += u64::from(line.is_some()),
            Err(reason) => {
                bad += 1;
                if !checked {
                    complain(&source.label, number, &reason, bad);
                }
            }
        }
    }
    if out.json {
        out.json_value(
            &serde_json::json!({"file": source.label, "good": good, "bad": bad, "dry_run": true}),
        )?;
    } else {
        out.line(format_args!("{}: {good} good lines, {bad} bad ones; nothing was stored", source.label))?;
    }
    out.finish()?;
    if bad > 0 { Err(Failure::Reported) } else { Ok(()) }
}
