//! Distils all-MiniLM-L6-v2 into the table of token vectors that `vestige-embed` ships.
//!
//! The same input gives the same bytes on the same kind of processor. ONNX Runtime picks its kernels by
//! the processor, so that another kind may round a component to its neighbour; the bundled file is
//! pinned by its hash.

mod matrix;
mod network;
mod recipe;
mod table;
mod texts;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use clap::Parser;
use xtask::process;

use crate::network::Network;

#[derive(Parser)]
struct Cli {
    /// The folder of the network: model.onnx and tokenizer.json.
    network: PathBuf,
    /// The folder of WordNet's data files.
    wordnet: PathBuf,
    /// The folder of the distilled model.
    model: PathBuf,
    /// Compare instead of writing.
    #[arg(long)]
    check: bool,
}

fn main() -> ExitCode {
    process::exit_code(run(&Cli::parse()))
}

#[allow(clippy::print_stdout, reason = "progress and result of a command-line program")]
fn run(cli: &Cli) -> Result<()> {
    let library = env::var_os("ORT_DYLIB_PATH").context("ORT_DYLIB_PATH is not set")?;
    let mut network = Network::open(Path::new(&library), &cli.network)?;
    let texts = texts::wordnet(&cli.wordnet)?;
    println!("{} texts of WordNet, BLAKE3 {}", texts.len(), texts::hash(&texts));

    let vocabulary = network.vocabulary()?;
    let nothing = network.embed_tokens(&[vec![]])?;
    let tokens: Vec<Vec<u32>> = (0u32..).take(vocabulary.len()).map(|id| vec![id]).collect();
    let tokens = network.embed_tokens(&tokens)?;
    println!("{} tokens went through the network", vocabulary.len());
    let ids = network.tokenize(&texts)?;
    let embedded = network.embed_tokens(&ids)?;
    println!("the texts went through the network");

    let (vectors, fit) = recipe::distil(&vocabulary, &tokens, nothing.row(0), &ids, &embedded);
    println!("the least-squares map explains {:.1} % of the texts' variance", 100.0 * fit);
    let files =
        [("table.bin", table::encode(&vectors)), ("vocab.txt", (vocabulary.join("\n") + "\n").into_bytes())];
    for (name, bytes) in files {
        let path = cli.model.join(name);
        println!("{name}: {} bytes, BLAKE3 {}", bytes.len(), blake3::hash(&bytes));
        if !cli.check {
            fs::create_dir_all(&cli.model)
                .with_context(|| format!("cannot create {}", cli.model.display()))?;
            fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        } else if fs::read(&path).with_context(|| format!("cannot read {}", path.display()))? != bytes {
            bail!("{} is not what the recipe makes: run `cargo xtask distill` and commit it", path.display());
        }
    }
    Ok(())
}
