//! `cargo xtask sim`: the executor's machine in simulated worlds, by seed.

use world::Report;

/// Run the executor in simulated worlds: engines and executors die, people interfere
///
/// The last line on stdout is `N passed, N failed`. What a failed seed did goes to stderr with
/// `--transcript`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many worlds
    #[arg(long, value_name = "N", default_value_t = 100)]
    seeds: u64,
    /// The first of them
    #[arg(long, value_name = "K", default_value_t = 0)]
    first: u64,
    /// Show what happened: of the one seed, or of those that failed
    #[arg(long)]
    transcript: bool,
}

/// Runs the seeds; true, if no law was broken.
#[expect(clippy::print_stdout, reason = "its result")]
#[expect(clippy::print_stderr, reason = "what it has to say")]
pub fn run(arguments: &Arguments) -> bool {
    let mut failed = 0;
    for seed in arguments.first..arguments.first.saturating_add(arguments.seeds) {
        let report: Report = world::run(seed, world::mood(seed));
        if arguments.transcript && (arguments.seeds == 1 || report.broken.is_some()) {
            eprintln!("seed {seed}:\n{}", report.transcript.join("\n"));
        }
        if let Some(broken) = report.broken {
            println!("seed {seed}: {broken}");
            failed += 1;
        }
    }
    println!("{} passed, {failed} failed", arguments.seeds - failed);
    failed == 0
}
