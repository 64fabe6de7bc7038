//! Rates, blocks and inputs of every kind, the tail and the reset.

use super::*;

#[test]
fn every_rate_and_block_from_1_khz_to_768_khz() {
    let rates = [1000, 4000, 8000, 11025, 22050, 32000, 44100, 48000, 88200, 96000, 176400, 192000, 384000, 768000];
    let mut host = instance();
    host.load(&state("Ada", &Settings { bypass: true, ..Settings::default() })).expect("a state");
    host.render_offline(true).expect("offline");
    for rate in rates {
        for block in [1, 13, 512, 4096, 16384] {
            let latency = host.activate(rate, block).expect("an activation");
            let n = if block == 1 { latency.min(3000) + 200 } else { latency + 2 * block };
            let sound = noise(u64::from(rate), n);
            let heard = played(&mut host, &sound, &[block, block, 1, block / 2, 0, block.div_ceil(3)]);
            for (h, s) in heard.iter().zip(&sound) {
                let late = latency.min(n);
                assert!(
                    h[..late].iter().all(|x| *x == 0.0) && h[late..] == s[..n - late],
                    "{rate} Hz, blocks of {block}"
                );
            }
            host.deactivate();
        }
    }
}

#[test]
fn a_block_larger_than_agreed_stays_finite() {
    // No host may; some do in a bounce. What it hears is not said, but nothing breaks.
    let (mut host, _) = offline(&Settings::default(), 48000, 64);
    for n in [64, 65, 500, 5000, 64] {
        let mut sound = noise(1, n);
        host.process(&mut sound).expect("a block");
        assert!(sound.iter().flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn in_place_sounds_as_out_of_place() {
    for settings in [Settings::default(), Settings { bypass: true, ..Settings::default() }] {
        let sound = noise(2, 24000);
        let expected = played(&mut offline(&settings, 48000, 480).0, &sound, &[480]);
        let (mut host, _) = offline(&settings, 48000, 480);
        let mut heard = sound.clone();
        for at in (0..24000).step_by(480) {
            let mut pointers = heard.each_mut().map(|c| c[at..].as_mut_ptr());
            let buffer = clap_audio_buffer {
                data32: pointers.as_mut_ptr(),
                data64: null_mut(),
                channel_count: 2,
                latency: 0,
                constant_mask: 0,
            };
            let (ins, mut outs) = ([buffer], [buffer]);
            // SAFETY: both point to the same two channels with 480 samples, which nobody else touches meanwhile.
            let (input, mut output) = unsafe {
                (InputAudioBuffers::from_raw_buffers(&ins, 480), OutputAudioBuffers::from_raw_buffers(&mut outs, 480))
            };
            let processor = host.processor().expect("a processor");
            processor
                .process(&input, &mut output, &InputEvents::empty(), &mut OutputEvents::void(), None, None)
                .expect("a block");
        }
        assert!(heard == expected, "bypass: {}", settings.bypass);
    }
}

#[test]
fn silence_that_is_told_sounds_as_silence_that_is_not() {
    let run = |told: bool| {
        let (mut host, _) = offline(&Settings::default(), 48000, 256);
        let mut heard = Vec::new();
        for block in 0..100 {
            let mut sound =
                if (20..60).contains(&block) { [vec![0.0; 256], vec![0.0; 256]] } else { noise(block, 256) };
            let constant = told && sound[0].iter().all(|x| *x == 0.0);
            host.process_with(&mut sound, &InputEvents::empty(), constant).expect("a block");
            heard.extend(sound.concat());
        }
        heard
    };
    assert!(run(true) == run(false));
}

#[test]
fn no_input_makes_the_output_unsound() {
    for settings in [
        Settings::default(),
        Settings { bypass: true, ..Settings::default() },
        Settings { wet: 0.5, ..Settings::default() },
    ] {
        let (mut host, latency) = offline(&settings, 48000, 128);
        let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 1e-42, -1e-42, f32::MIN_POSITIVE];
        for block in 0..200usize {
            let mut sound = noise(3, 128);
            if block < 100 {
                sound.iter_mut().flatten().enumerate().for_each(|(i, x)| *x = bad[(i + block) % bad.len()]);
            }
            host.process(&mut sound).expect("a block");
            assert!(sound.iter().flatten().all(|x| x.is_finite() && x.abs() <= 64.0), "block {block}");
            // A second after the last bad block, the sound is whole again.
            if block * 128 > 100 * 128 + latency + 4800 {
                assert!(
                    sound.iter().flatten().all(|x| !x.is_subnormal()) && sound.iter().flatten().any(|x| x.abs() > 0.1),
                    "block {block}"
                );
            }
        }
    }
}

#[test]
fn the_tail_is_as_long_as_it_says() {
    for mode in Mode::ALL {
        let (mut host, latency) = offline(&Settings { mode, ..Settings::default() }, 48000, 256);
        let mut sound = noise(4, 256);
        let status = host.process(&mut sound).expect("a block");
        assert_eq!(status, ProcessStatus::Continue, "it is never put to sleep while sound is inside");
        let tail: PluginTail = host.extension("tail").expect("a tail");
        let tail = tail.get(&host.processor().expect("a processor").plugin_handle());
        let TailLength::Finite(tail) = tail else { panic!("{tail:?}") };
        assert!(tail as usize >= latency, "{tail} of {latency}");
        played(&mut host, &noise(5, 256 * 100), &[256]);
        let after = played(&mut host, &[vec![0.0; 48000], vec![0.0; 48000]], &[256]);
        assert!(after[0][..latency].iter().any(|x| x.abs() > 0.1), "the end is heard");
        let loudest = after[0][tail as usize..].iter().fold(0.0f32, |m, x| m.max(x.abs()));
        assert!(loudest < 1e-3, "{mode:?}: {loudest} after the tail of {tail} samples");
    }
}

#[test]
fn a_reset_forgets_all_sound() {
    let (mut host, latency) = offline(&Settings::default(), 44100, 300);
    let first = played(&mut host, &noise(6, 3 * latency), &[300, 7]);
    assert!(first[0].iter().any(|x| x.abs() > 0.1));
    host.processor().expect("a processor").reset();
    let again = played(&mut host, &noise(6, 3 * latency), &[300, 7]);
    assert!(again[0] == first[0] && again[1] == first[1], "after a reset it sounds as from the start");
}
