"""Sound for the evaluation: reading, joining, levels, noise, and the long programme made of all recordings. 16 kHz mono floats. Knows no recogniser."""

import json
import pathlib

import numpy as np
import soundfile
import soxr

RATE = 16000


def read(path):
    """16 kHz mono of any file; what libsndfile can't read (G.722) through PyAV, which faster-whisper brings."""
    if pathlib.Path(path).suffix == ".g722":
        import av

        with av.open(str(path), format="g722") as held:
            return np.concatenate([f.to_ndarray().astype(np.float32).mean(0) for f in held.decode(audio=0)]) / 32768
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    return np.ascontiguousarray(soxr.resample(sound.mean(1), rate, RATE, "VHQ"), np.float32)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def db(x):
    return 10 ** (x / 20)


def at_level(x, dbfs):
    return (x / rms(x) * db(dbfs)).astype(np.float32)


def white(n, seed):
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


def pink(n, seed):
    """Noise of 1/f power from 40 Hz, as rooms and fans have it."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    f = np.fft.rfftfreq(n, 1 / RATE)
    return np.fft.irfft(spectrum * np.where(f > 40, 1 / np.sqrt(np.maximum(f, 1)), 0), n).astype(np.float32)


def over(voice, noise, snr):
    """The voice at its level with noise behind it, `snr` dB below the voice."""
    return (voice + np.resize(noise, len(voice)) / rms(noise) * rms(voice) * db(-snr)).astype(np.float32)


def joined(pieces, pause, floor=-75):
    """Pieces behind each other with `pause` seconds of faint noise between; also the second at which each begins."""
    gap = at_level(pink(max(1, int(pause * RATE)), 8), floor)[: int(pause * RATE)]
    out, starts, at = [], [], 0
    for k, piece in enumerate(pieces):
        for part in ([gap] if k else []) + [piece]:
            out.append(part)
            at += len(part)
        starts.append((at - len(piece)) / RATE)
    return np.concatenate(out), starts


def write(path, sound, rate=RATE):
    """A 16-bit file, whole or not at all; what is over full scale is turned down rather than clipped."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    soundfile.write(half, sound / max(1.0, float(np.abs(sound).max()) / 0.99), rate, "PCM_16", format="WAV")
    half.rename(path)
    return path


def programme(pieces, seconds, pauses=(1.0, 2.0), seed=11):
    """At least `seconds` of the pieces {name: sound} in turn: the first time as they are, then with other gains and with noise behind them.

    Returns the sound and what lies where: [{"name", "start", "seconds", "gain_db", "noise_snr_db"}].
    """
    draw, out, where, at, turn = np.random.default_rng(seed), [], [], 0, 0
    while at < seconds * RATE:
        for name, sound in pieces.items():
            gain = 0.0 if turn == 0 else float(np.round(draw.uniform(-18, 3), 1))
            snr = None if turn == 0 else float(np.round(draw.uniform(15, 35), 0))
            sound = sound if snr is None else over(sound, pink(len(sound), turn), snr) * db(gain)
            where.append({"name": name, "start": at / RATE, "seconds": len(sound) / RATE, "gain_db": gain, "noise_snr_db": snr})
            pause = int(draw.uniform(*pauses) * RATE) if pauses[1] > 0 else 0
            out += [sound.astype(np.float32), at_level(pink(max(pause, 1), turn + 99), -75)[:pause]]
            at += len(sound) + pause
            if at >= seconds * RATE:
                break
        turn += 1
    return np.concatenate(out), where


def write_programme(folder, pieces, seconds=610):
    """programme.16k.wav, programme.48k.wav and programme.json in a folder; left alone when the JSON, written last, is there."""
    folder = pathlib.Path(folder)
    if not (folder / "programme.json").exists():
        sound, where = programme(pieces, seconds)
        write(folder / "programme.16k.wav", sound)
        write(folder / "programme.48k.wav", soxr.resample(sound, RATE, 48000, "VHQ"), 48000)
        (folder / "programme.json").write_text(json.dumps(where, indent=1))
    return folder / "programme.16k.wav"
