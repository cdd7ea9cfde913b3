//! `cargo run -p world --example seeds FIRST COUNT`
fn main() {
    let mut args = std::env::args().skip(1).map(|a| a.parse::<u64>().unwrap());
    let (first, count) = (args.next().unwrap(), args.next().unwrap());
    let failed = world::run_seeds(first, count);
    if count == 1 {
        let r = world::run(first, world::mood(first));
        for l in &r.transcript {
            println!("{l}");
        }
        println!(
            "{:#?}",
            r.view
                .machines
                .iter()
                .map(|m| (&m.record.name, &m.state))
                .collect::<Vec<_>>()
        );
        println!("{:?}", r.view.holds);
    }
    for (seed, r) in &failed {
        println!("{seed}: {}", r.broken.as_ref().unwrap());
    }
    println!(
        "{} passed, {} failed",
        count - failed.len() as u64,
        failed.len()
    );
}
