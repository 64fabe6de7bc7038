//! Every input of the fuzz corpora, and mutations of them that are the same in each run, through the fuzz targets: a
//! short run of what `cargo xtask fuzz` does for long. What a fuzzer once broke lies among the inputs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng, rngs::StdRng};

/// Mutations of all inputs of a target together, at most: as many as there is time for.
const MUTATIONS: usize = 400;
const TIME: Duration = Duration::from_secs(1);
/// Inputs in the repository stay small.
const LARGEST: usize = 4096;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(&folder).expect("a corpus for each target").flatten();
    let mut inputs: Vec<_> = entries.map(|e| (e.path(), std::fs::read(e.path()).expect("read"))).collect();
    inputs.sort();
    inputs
}

/// What a careless disk, editor or stranger does to bytes.
fn mutated(random: &mut StdRng, inputs: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = inputs[random.random_range(0..inputs.len())].1.clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..64)).min(bytes.len());
        match random.random_range(0..7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            1 if at < bytes.len() => {
                bytes[at] =
                    *[0, 0x7f, 0x80, 0xff, b'\n', b'"', b'0'].get(random.random_range(0..7)).expect("one of seven")
            }
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => bytes.splice(at..at, bytes[at..end].to_vec()).for_each(drop),
            5 => bytes.splice(at..at, (0..random.random_range(1..16)).map(|_| random.random())).for_each(drop),
            _ => {
                // The end of another input.
                let other = &inputs[random.random_range(0..inputs.len())].1;
                bytes.truncate(at);
                bytes.extend(&other[random.random_range(0..=other.len())..]);
            }
        }
    }
    bytes
}

#[test]
fn no_input_and_no_mutation_of_one_breaks_a_reader() {
    for (target, f) in mynah::fuzzing::TARGETS {
        let inputs = corpus(target);
        assert!((3..=20).contains(&inputs.len()), "{target}: {} inputs", inputs.len());
        for (path, bytes) in &inputs {
            assert!(bytes.len() <= LARGEST, "{} has {} bytes", path.display(), bytes.len());
            println!("{}", path.display());
            f(bytes);
        }
        let (mut random, until, mut done) = (StdRng::seed_from_u64(0x6d79_6e61), Instant::now() + TIME, 0);
        while done < MUTATIONS && Instant::now() < until {
            let bytes = mutated(&mut random, &inputs);
            if let Err(panic) = std::panic::catch_unwind(|| f(&bytes)) {
                let kept = std::env::temp_dir().join(format!("mynah-{target}-{done}"));
                std::fs::write(&kept, &bytes).expect("kept");
                eprintln!(
                    "{target}: mutation {done} breaks it; it lies in `{}`, put it into fuzz/corpus/{target}",
                    kept.display()
                );
                std::panic::resume_unwind(panic);
            }
            done += 1;
        }
        println!("{target}: {} inputs, {done} mutations", inputs.len());
        assert!(done >= 20, "{target}: only {done} mutations in {TIME:?}");
    }
}
