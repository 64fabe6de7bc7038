//! What a person types while it runs: a letter and Enter, so that it works in every terminal and from a script. Knows
//! no engine.

use std::io::BufRead;
use std::sync::mpsc::{Receiver, channel};

/// What they can be.
pub const HELP: &str = "p your own voice or the other · m hear yourself · d noise suppression · s delay and late hops \
    · q end, each with Enter";

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The own voice at the same delay, or the other.
    Passthrough,
    /// To hear oneself, or not.
    Monitor,
    /// Noise suppression, or none.
    Denoise,
    /// How it is.
    Status,
    /// The end.
    Quit,
    /// Anything else.
    Help,
}

impl Key {
    fn of(line: &str) -> Option<Self> {
        Some(match line.trim() {
            "" => return None,
            "p" => Key::Passthrough,
            "m" => Key::Monitor,
            "d" => Key::Denoise,
            "s" => Key::Status,
            "q" => Key::Quit,
            _ => Key::Help,
        })
    }
}

/// Keys from stdin, until it ends. The thread that reads can't be ended, and needs no end.
pub fn listen() -> Receiver<Key> {
    let (typed, keys) = channel();
    let read = move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if Key::of(&line).is_some_and(|key| typed.send(key).is_err()) {
                return;
            }
        }
    };
    // Without the thread there are no keys, and all else works.
    let _ = std::thread::Builder::new().name("mynah-keys".to_owned()).spawn(read);
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_a_key() {
        assert_eq!(Key::of(" p \n"), Some(Key::Passthrough));
        assert_eq!(Key::of("what?"), Some(Key::Help));
        assert_eq!(Key::of("\n"), None);
        for letter in ["p", "m", "d", "s", "q"] {
            assert!(HELP.contains(&format!("{letter} ")), "{letter} is not told");
            assert_ne!(Key::of(letter), Some(Key::Help));
        }
    }
}
