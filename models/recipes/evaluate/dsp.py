#!/usr/bin/env python3
"""dsp.py PROGRAM RECORDING: our resampling beside soxr's and our Whisper features beside kaldi-native-fbank's, on one thread, in turns.

PROGRAM is the built examples/dsp_times (`cargo build --release --example dsp_times`). Prints the shortest of so many turns as seconds for a minute of
sound, their ratio, and what each does to tones: the level of one at 90 % of the lower rate's Nyquist frequency, and of what one at 115 % leaves behind.
pip: numpy==2.4.6 soundfile==0.14.0 soxr==1.1.0 kaldi-native-fbank==1.23.0
"""
import subprocess
import sys
import time

import kaldi_native_fbank as knf
import numpy as np
import soundfile as sf
import soxr

TURNS = 7
SECONDS = 60
BLOCK = 480
RATES = [(48000, 24000), (24000, 48000), (44100, 24000), (24000, 44100), (48000, 16000)]


def ours(samples, *arguments):
    run = subprocess.run([sys.argv[1], *map(str, arguments)], input=samples.astype("<f4").tobytes(), capture_output=True, check=True)
    return np.frombuffer(run.stdout, "<f4"), float(run.stderr)


def soxr_stream(samples, source, target, quality):
    stream = soxr.ResampleStream(source, target, 1, dtype="float32", quality=quality)
    blocks = [samples[i:i + BLOCK] for i in range(0, len(samples), BLOCK)]
    start = time.perf_counter()
    out = [stream.resample_chunk(b, last=i == len(blocks) - 1) for i, b in enumerate(blocks)]
    return np.concatenate(out), time.perf_counter() - start


def kaldi(samples):
    options = knf.WhisperFeatureOptions()
    options.dim = 80
    start = time.perf_counter()
    features = knf.OnlineWhisperFbank(options)
    features.accept_waveform(16000, samples)
    features.input_finished()
    rows = np.stack([features.get_frame(i) for i in range(features.num_frames_ready)])
    rows = np.log10(np.maximum(rows, 1e-10))
    rows = (np.maximum(rows, rows.max() - 8) + 4) / 4
    return rows.T, time.perf_counter() - start


def tone(rate, hertz):
    return np.sin(2 * np.pi * hertz * np.arange(rate) / rate).astype(np.float32)


def level(y):
    middle = y[len(y) // 4:len(y) * 3 // 4]
    return 20 * np.log10(max(np.sqrt(np.mean(middle ** 2)) * 2 ** 0.5, 1e-9))


def in_turns(*calls):
    return [min(times) for times in zip(*([call()[1] for call in calls] for _ in range(TURNS)))]


sound, rate = sf.read(sys.argv[2], dtype="float32", always_2d=True)
minute = {r: soxr.resample(np.resize(sound.mean(axis=1), rate * SECONDS), rate, r) for r in {16000, *(s for s, _ in RATES)}}
print(f"Resampling of {SECONDS} s in blocks of {BLOCK} samples, the shortest of {TURNS} turns in ms")
print("from    to      ours   soxr HQ  soxr MQ  ours/HQ   ours/MQ  90 %: ours  HQ     MQ      115 %: ours  HQ     MQ   dB")
for source, target in RATES:
    x = minute[source]
    mine, hq, mq = in_turns(lambda: ours(x, "resample", source, target, BLOCK), lambda: soxr_stream(x, source, target, "HQ"), lambda: soxr_stream(x, source, target, "MQ"))
    low = min(source, target) / 2
    heard = []
    for share in (0.9, 1.15):
        # From the lower to the higher rate no tone lies above its Nyquist frequency: what is left behind is the mirror of one at 85 %.
        hertz = low * (share if share < 1 or source > target else 2 - share)
        y = [ours(tone(source, hertz), "resample", source, target, BLOCK)[0], *(soxr_stream(tone(source, hertz), source, target, q)[0] for q in ("HQ", "MQ"))]
        if share > 1 and source < target:
            n = np.arange(target // 2) / target
            wave = np.stack([np.sin(2 * np.pi * hertz * n), np.cos(2 * np.pi * hertz * n)], axis=1)
            y = [p[:] for p in y]
            for k, p in enumerate(y):
                middle = p[len(p) // 4:len(p) // 4 + len(n)].astype(np.float64)
                part, *_ = np.linalg.lstsq(wave[:len(middle)], middle, rcond=None)
                y[k] = np.resize(middle - wave[:len(middle)] @ part, 2 * len(middle))
        heard += [level(p) for p in y]
    print(f"{source:6} {target:6} {1e3 * mine:7.1f} {1e3 * hq:8.1f} {1e3 * mq:8.1f} {mine / hq:8.2f} {mine / mq:9.2f} "
          + "".join(f"{h:10.1f}" for h in heard))

x = minute[16000]
mine, theirs = in_turns(lambda: ours(x, "whisper"), lambda: kaldi(x))
# Kaldi centres frame t on sample 160·(t + ½), Whisper (and we) on 160·t; at the ends each hears other samples.
a, b = ours(x[80:], "whisper")[0].reshape(80, -1), kaldi(x)[0]
n = min(a.shape[1], b.shape[1]) - 3
apart = np.abs(a[:, 3:n] - b[:, 3:n])
print(f"Whisper features of {SECONDS} s: ours {1e3 * mine:.1f} ms, kaldi-native-fbank {1e3 * theirs:.1f} ms, ratio {mine / theirs:.2f}; "
      f"largest difference {apart.max():.1e}, mean {apart.mean():.1e}")
