//! The link to OBS over obs-websocket 5: the words in a text source, and as captions in the stream. Comes back by
//! itself when OBS does.

mod channel;
mod protocol;
mod session;

pub use protocol::fuzz;

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::settings::ObsSettings;
use super::status::{ObsLink, ObsStatus};
use super::wire::{Cursor, Wire};
use channel::Channel;
use mynah_subtitles::cues::Style;

/// The pause before the first new try; each further one waits twice as long as the one before, up to the most.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// What has come is looked through so often while OBS is away, so that what waits stays bounded and is counted.
const LOOK: Duration = Duration::from_secs(1);

/// Keeps the link until `stop` is set, and tells how it goes.
pub(super) async fn run(
    settings: ObsSettings,
    style: Style,
    wire: Wire,
    tell: impl Fn(ObsStatus),
    mut stop: watch::Receiver<bool>,
) {
    let now = Instant::now();
    let mut channels = Vec::new();
    if !settings.source.trim().is_empty() {
        channels.push(Channel::source(settings.source.trim(), style, now));
    }
    if settings.captions {
        channels.push(Channel::stream(now));
    }
    let tell =
        |link: ObsLink, channels: &[Channel]| tell(ObsStatus { link, lost: channels.iter().map(Channel::lost).sum() });
    let mut cursor = wire.from_now();
    let mut tries = 0;
    loop {
        let opened = tokio::select! {
            opened = session::open(&settings, &mut channels) => opened,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let ended = match opened {
            Ok(mut session) => {
                tries = 0;
                match session.run(&wire, &mut cursor, &tell, &mut stop).await {
                    Some(ended) => ended,
                    None => return,
                }
            }
            Err(state) => state,
        };
        tell(ended.clone(), &channels);
        let until = Instant::now() + pause(tries);
        tries += 1;
        if wait(&wire, &mut cursor, &mut channels, until, &mut stop, || &ended, &tell).await {
            return;
        }
    }
}

/// Waits for the next try; what is said meanwhile waits too. Tells whether `stop` was set.
async fn wait<'a>(
    wire: &Wire,
    cursor: &mut Cursor,
    channels: &mut [Channel],
    until: Instant,
    stop: &mut watch::Receiver<bool>,
    state: impl Fn() -> &'a ObsLink,
    tell: &impl Fn(ObsLink, &[Channel]),
) -> bool {
    loop {
        let next = until.min(Instant::now() + LOOK);
        tokio::select! {
            () = tokio::time::sleep_until(next.into()) => {}
            _ = stop.wait_for(|stop| *stop) => return true,
        }
        let (news, now) = (wire.read(cursor), Instant::now());
        if !news.is_empty() {
            channels.iter_mut().for_each(|c| c.take(news.clone(), false, now));
            tell(state().clone(), channels);
        }
        if now >= until {
            return false;
        }
    }
}

/// The pause before a try, spread by a quarter so that many clients don't come back at the same moment.
fn pause(tries: u32) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(1 << tries.min(10)).min(LONGEST_PAUSE);
    let spread = 0.75 + 0.25 * (super::random() as f64 / u64::MAX as f64);
    pause.mul_f64(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_seconds_and_differ() {
        for tries in 0..100 {
            let (least, most) = (0.75 * 0.5 * 2f64.powi(tries), 0.5 * 2f64.powi(tries));
            let seconds = pause(tries as u32).as_secs_f64();
            assert!(seconds >= least.min(7.5) && seconds <= most.min(10.0), "{tries}: {seconds}");
        }
        assert!((0..10).any(|_| pause(5) != pause(5)));
    }
}
