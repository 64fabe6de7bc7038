//! States: in pieces, broken, of other versions and of other plugins.

use super::*;

/// Takes or gives a few bytes a call.
struct Trickle<T>(T, usize);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let n = self.1.min(buffer.len());
        self.0.read(&mut buffer[..n])
    }
}

impl<W: Write> Write for Trickle<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        self.0.write(&buffer[..self.1.min(buffer.len())])
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// A writer on a full disk.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        if self.0 < buffer.len() {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        self.0 -= buffer.len();
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&(body.len() as u64).to_le_bytes()[..], body].concat()
}

#[test]
fn a_state_goes_through_narrow_streams() {
    let settings = Settings { mode: Mode::Balanced, wet: 0.3, gain_db: -3.0, ..Settings::default() };
    let (mut host, mut other) = (instance(), instance());
    host.load(&state("Ada", &settings)).expect("a state");
    let saved = host.save().expect("saved");
    let mut dripped = Vec::new();
    host.save_to(&mut Trickle(&mut dripped, 0)).expect("saved in drops");
    assert!(dripped == saved);
    other.load_from(&mut Trickle(&dripped[..], 0)).expect("loaded in drops");
    assert!(other.save().expect("saved") == saved);
    for room in [0, 4, 8, 100] {
        assert!(host.save_to(&mut Full(room)).is_err(), "a disk that is full is told");
    }
    assert!(host.save().expect("saved") == saved);
}

/// A load that is refused changes nothing; one that isn't gives a state that comes back byte for byte. Gives whether it
/// was taken.
fn digest(host: &mut ClapHost, bytes: &[u8]) -> bool {
    let before = host.save().expect("saved");
    if host.load(bytes).is_err() {
        assert!(
            host.save().expect("saved") == before,
            "what is refused changes nothing: {}",
            String::from_utf8_lossy(bytes)
        );
        return false;
    }
    let after = host.save().expect("saved");
    host.load(&after).unwrap_or_else(|_| panic!("{} is refused", String::from_utf8_lossy(&after)));
    assert!(host.save().expect("saved") == after, "{}", String::from_utf8_lossy(&after));
    true
}

#[test]
fn no_bytes_break_a_state() {
    let mut random = StdRng::seed_from_u64(10);
    let good = state("Ada", &Settings { mode: Mode::Studio, wet: 0.5, captions: true, ..Settings::default() });
    let mut idle = instance();
    idle.load(&good).expect("a state");
    let good = idle.save().expect("saved");
    let (mut active, _) = offline(&Settings::default(), 48000, 128);
    for host in [&mut idle, &mut active] {
        for n in 0..12 {
            let rubbish: Vec<u8> = (0..1usize << n).map(|_| random.random()).collect();
            assert!(!digest(host, &rubbish) && !digest(host, &framed(&rubbish)), "random bytes are refused");
        }
        for cut in (0..20).chain([good.len() / 2, good.len() - 2, good.len() - 1]) {
            assert!(!digest(host, &good[..cut]), "a state that ends after {cut} bytes is refused");
        }
        for length in [u64::MAX, 1 << 62, 1 << 40, 1 << 31, 1 << 20, 0] {
            let lie = [&length.to_le_bytes()[..], &good[8..]].concat();
            assert_eq!(digest(host, &lie), length == 1 << 20, "a length of {length}");
        }
        for body in [
            "",
            "{}",
            "[]",
            "null",
            "1e999",
            r#"{"a": 1}"#,
            r#"{"version": 1, "params": [], "fields": {}}"#,
            r#""\ud800""#,
        ] {
            assert!(!digest(host, &framed(body.as_bytes())), "{body}");
        }
        assert!(!digest(host, &framed(&vec![b'['; 1 << 20])), "a deep one is refused");
        assert!(!digest(host, &framed(&vec![0; 8 << 20])), "a huge one is refused");
        let mut spacious = good[8..].to_vec();
        spacious.splice(1..1, vec![b' '; 4 << 20]);
        assert!(digest(host, &framed(&spacious)));
        let mut taken = 0;
        for round in 0..150 {
            let mut flipped = good.clone();
            for _ in 0..=round % 4 {
                let at = random.random_range(8..flipped.len());
                flipped[at] ^= 1 << random.random_range(0..8u32);
            }
            taken += u32::from(digest(host, &flipped));
        }
        println!("of 150 states with flipped bits {taken} were still states");
        host.load(&good).expect("the good one is taken after all that");
        assert!(host.save().expect("saved") == good);
    }
    let mut sound = noise(11, 128);
    active.answer();
    active.process(&mut sound).expect("a block");
    assert!(sound.iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn numbers_that_no_parameter_has_come_in_as_ones_that_it_has() {
    for value in ["1e38", "-1e38", "1e-45", "-0.0"] {
        let (mut host, _) = offline(&Settings::default(), 48000, 128);
        let numbers = format!(
            r#"{{"version":"0.1.0","params":{{"voice":{{"bool":true}},"mode":{{"i32":77}},"mix":{{"f32":{value}}},"gain":{{"f32":{value}}},
            "gate":{{"f32":{value}}},"semis":{{"f32":{value}}},"late":{{"string":"never"}},"pitch":{{"f32":1}},"bypass":{{"i32":1}}}},"fields":{{}}}}"#
        );
        assert!(digest(&mut host, &framed(numbers.as_bytes())), "{value}");
        let tops = [1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        for ((now, top), name) in values(&mut host).iter().zip(tops).zip(NAMES) {
            assert!((0.0..=top).contains(now), "{name} is {now} for {value}");
        }
        for _ in 0..20 {
            let mut sound = noise(12, 128);
            host.process(&mut sound).expect("a block");
            assert!(sound.iter().flatten().all(|x| x.is_finite()), "{value}");
        }
    }
}

#[test]
fn states_of_older_versions_load_and_those_of_other_plugins_change_nothing() {
    let mut host = instance();
    host.load(&state("Ada", &Settings { gain_db: 6.0, ..Settings::default() })).expect("a state");
    // Without what later versions brought, with what they threw out, and with the words as the first version wrote
    // them.
    let older = br#"{"version":"0.0.1","params":{"voice":{"bool":false},"mode":{"string":"studio"},"mix":{"f32":0.5},"gone":{"f32":1.0}},
        "fields":{"words":"[[\"hello\",1250,1750,50]]","gone":"[1]"}}"#;
    assert!(digest(&mut host, &framed(older)));
    let now = values(&mut host);
    assert_eq!((now[1], now[2], now[6]), (0.0, 2.0, 0.5));
    let words = mynah::plugin::state::transcript(&host.save().expect("saved")).expect("a state");
    assert_eq!(words.words().iter().map(|w| w.text.as_str()).collect::<Vec<_>>(), ["hello"]);
    // Plugins that are built as this one save the same kind of state, with names that are easily the same.
    let before = host.save().expect("saved");
    for other in [
        r#"{"version":"1.0.0","params":{"gain":{"f32":0.5},"mix":{"f32":0.1},"bypass":{"bool":true}},"fields":{}}"#,
        r#"{"version":"1.0.0","params":{},"fields":{"voice":"null","words":"[]","speaker":"\"X\""}}"#,
    ] {
        let _ = host.load(&framed(other.as_bytes()));
        assert!(host.save().expect("saved") == before, "{other}");
    }
}

/// A project may load after the host has made everything ready, before any sound and without a window.
#[test]
fn a_state_that_comes_after_the_activation_tells_its_latency_once_without_a_block() {
    let mut fresh = instance();
    let studio = state("Ada", &Settings { mode: Mode::Studio, ..Settings::default() });
    fresh.load(&studio).expect("a state");
    let wanted = fresh.activate(48_000, 128).expect("an activation");
    let mut host = instance();
    let live = host.activate(48_000, 128).expect("an activation");
    assert_ne!(live, wanted);
    host.load(&studio).expect("a state");
    let until = Instant::now() + Duration::from_secs(20);
    while host.latency().expect("a latency") != wanted {
        assert!(Instant::now() < until, "the host is told {} for {wanted}", host.latency().expect("a latency"));
        std::thread::sleep(Duration::from_millis(5));
        host.answer();
    }
}
