//! What test hosts and the demo read: all instances of this process as JSON. Costs the audio thread nothing.

use std::ffi::c_char;

use serde_json::{Value, json};

use super::instance::{Instance, live};
use crate::realtime::WorkerState;

fn of(instance: &Instance) -> Value {
    let readings = instance.readings();
    let mut problems: Vec<String> = readings.problem.into_iter().collect();
    let mut value = json!({
        "id": instance.id,
        "latency": instance.reported(),
        "mode": instance.params.mode().name(),
        "provider": instance.params.provider.get().0.name(),
        "voice": instance.params.target.get().0.map(|v| v.name),
        "bypass": instance.params.bypass.value(),
        "active": readings.status.is_some(),
        "worst_load": readings.worst_load,
        "speaker": instance.speaker(),
        "words": instance.transcript().lock().unwrap_or_else(|e| e.into_inner()).words().len(),
    });
    if let Some(frame) = readings.frame {
        value["host"] = json!({ "rate": frame.rate, "block": frame.block, "channels": frame.channels });
    }
    if let Some(s) = readings.status {
        problems.extend(s.voice_problem);
        problems.extend(s.caption_problem);
        let (l, c) = (s.latency, s.counters);
        value["engine"] = json!({
            "mode": s.mode.name(),
            "latency": {
                "resample_in": l.resample_in, "hop": l.hop, "look_ahead": l.look_ahead, "resample_out": l.resample_out,
                "block": l.block, "slack": l.slack, "total": l.total,
            },
            "state": match c.state {
                WorkerState::Idle => "idle",
                WorkerState::Loading => "loading",
                WorkerState::Ready => "ready",
                WorkerState::Dead => "dead",
            },
            "voice": s.voice, "loading": s.loading, "provider": s.provider.name(), "note": s.note,
            "hops": c.hops, "late_hops": c.late_hops, "lost_samples": c.lost_samples, "load": c.load, "offline": c.offline, "hurry": c.hurry,
            "captions_ready": s.captions_ready, "captions_behind": s.captions_behind,
        });
    }
    problems.extend(instance.params.words.problem());
    match instance.copy() {
        Some(Ok(file)) => value["copy"] = json!(file),
        Some(Err(why)) => problems.push(why),
        None => {}
    }
    value["problems"] = json!(problems);
    value
}

/// All live instances of this process: `{"version", "instances": [{"id", "latency", "mode", "provider", "voice",
/// "bypass", "active", "worst_load", "speaker", "words", "copy", "host", "engine", "problems"}]}`. `latency` is what
/// the host was told, in samples; `host` and `engine` are there once the host has started the sound. Not for the audio
/// thread.
pub fn report() -> Value {
    let instances: Vec<Value> = live().iter().map(|i| of(i)).collect();
    json!({ "version": env!("CARGO_PKG_VERSION"), "instances": instances })
}

/// Writes `report()` as UTF-8 with a closing NUL into `buffer`, cut where it does not fit, and gives the bytes that the
/// whole text has without the NUL. With a null pointer or a length of 0 it only gives the size. Any thread but the
/// audio thread.
///
/// # Safety
/// `buffer` is null or points to `length` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mynah_diagnostics(buffer: *mut c_char, length: usize) -> usize {
    let text = std::panic::catch_unwind(|| report().to_string()).unwrap_or_else(|_| "{}".to_owned());
    if !buffer.is_null() && length > 0 {
        let n = text.len().min(length - 1);
        // SAFETY: the caller gives `length` bytes, and `n` is less; the text is memory of its own.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast(), n);
            *buffer.add(n) = 0;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn the_text_is_whole_or_cut_but_closed() {
        let instance = Instance::new(Arc::default());
        // SAFETY: null is allowed.
        let size = unsafe { mynah_diagnostics(std::ptr::null_mut(), 0) };
        let mut buffer = vec![1u8; 2 * size + 4096];
        // SAFETY: the buffer has that length.
        let written = unsafe { mynah_diagnostics(buffer.as_mut_ptr().cast(), buffer.len()) };
        let value: Value = serde_json::from_slice(&buffer[..written]).expect("JSON");
        let mine = value["instances"]
            .as_array()
            .expect("instances")
            .iter()
            .find(|i| i["id"] == instance.id)
            .expect("this one")
            .clone();
        assert_eq!((&mine["active"], &mine["mode"]), (&json!(false), &json!("live")));
        // SAFETY: eight bytes are there.
        unsafe { mynah_diagnostics(buffer.as_mut_ptr().cast(), 8) };
        assert_eq!(buffer[7], 0);
    }
}
