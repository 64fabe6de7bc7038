"""What a microphone may bring to a live voice converter besides clean speech: silence, noise, whispers, shouts, music, telephones, other languages.

Made from real recordings, none of which any training heard; what is acted, sung or in other languages comes from Debian's packages. Knows nothing of
models or judges.
"""

import itertools
from dataclasses import dataclass

import librosa
import numpy as np
import scipy.linalg
import scipy.signal

import cases
import fetch
from converter import HOP, RATE

VOICES = "usr/share/games/hedgewars/Data/Sounds/voices"
MUSIC = "usr/share/games/hedgewars/Data/Music/Castle.ogg"
SHOUTED = ("Fire", "Justyouwait", "Comeonthen", "Traitor", "Revenge", "Nooo", "Incoming")
SECONDS = 8
MAN, WOMAN = "clean, a man", "clean, a woman"


@dataclass
class Condition:
    group: str
    name: str
    sound: np.ndarray
    words: str | None = None  # name of the clean condition, yielded before, whose English words are said here too: then words are counted
    voice: bool = True  # whether somebody speaks: then the similarity to the target is judged


def db(x):
    return 10 ** (x / 20)


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64)) + 1e-20))


def at_level(x, dbfs):
    return (x / rms(x) * db(dbfs)).astype(np.float32)


def pink(n, seed):
    """Noise of 1/f power from 40 Hz, as rooms and fans have it."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    f = np.fft.rfftfreq(n, 1 / RATE)
    return np.fft.irfft(spectrum * np.where(f > 40, 1 / np.sqrt(np.maximum(f, 1)), 0), n)


def over(voice, noise, snr):
    """The voice at its level with noise behind it, `snr` dB below the voice."""
    noise = np.resize(noise, len(voice))
    return (voice + noise / rms(noise) * rms(voice) * db(-snr)).astype(np.float32)


def whispered(sound, order=28):
    """The recording's own vocal tract, excited by noise: linear prediction each 10 ms, the residual replaced by noise of its level."""
    x, window = librosa.effects.preemphasis(sound), np.hanning(3 * HOP)
    noise, out = np.random.default_rng(4).standard_normal(len(x) + 3 * HOP), np.zeros(len(x) + 3 * HOP)
    for a in range(0, len(x) - 3 * HOP, HOP):
        piece = x[a : a + 3 * HOP] * window
        if rms(piece) < 1e-5:
            continue
        r = np.correlate(piece, piece, "full")[len(piece) - 1 : len(piece) + order]
        lpc = scipy.linalg.solve_toeplitz(r[:-1] + np.r_[r[0] * 1e-3, np.zeros(order - 1)], r[1:])
        made = scipy.signal.lfilter([1], np.r_[1, -lpc], noise[a : a + 3 * HOP]) * window
        out[a : a + 3 * HOP] += made * rms(piece) / max(1e-9, rms(made))
    return (out[: len(x)] * rms(sound) / rms(out) * 0.3).astype(np.float32)  # whispers are some 10 dB softer than speech


def breaths(n):
    """Noise between 400 and 5,000 Hz that swells and falls, 0.9 s each 1.5 s."""
    t = np.arange(n) / RATE % 1.5
    envelope = np.where(t < 0.9, np.sin(np.pi * t / 0.9) ** 2, 0)
    sos = scipy.signal.butter(2, (400, 5000), "bandpass", fs=RATE, output="sos")
    return scipy.signal.sosfilt(sos, np.random.default_rng(5).standard_normal(n)) * envelope


def chords(n):
    """Plucked major chords of harmonic tones, two a second."""
    t = np.arange(n) / RATE
    out = np.zeros(n)
    for k, root in enumerate(itertools.islice(itertools.cycle((0, 5, 7, 2)), int(n / RATE * 2) + 1)):
        since = t - k / 2
        decay = np.where(since >= 0, np.exp(-3 * np.maximum(since, 0)), 0)
        for step in (0, 4, 7, 12):
            f = 220 * 2 ** ((root + step) / 12)
            out += decay * sum(np.sin(2 * np.pi * f * h * t) / h for h in range(1, 9))
    return out


def telephone(sound):
    """300 to 3,400 Hz, 8 kHz, mu-law of eight bits."""
    x = librosa.resample(sound, orig_sr=RATE, target_sr=8000)
    x = scipy.signal.sosfilt(scipy.signal.butter(4, (300, 3400), "bandpass", fs=8000, output="sos"), x)
    x = librosa.mu_expand(librosa.mu_compress(np.clip(x, -1, 1), quantize=True))
    return librosa.resample(x.astype(np.float32), orig_sr=8000, target_sr=RATE)[: len(sound)]


def squeezed(sound):
    """As a limiter leaves it: 12 dB up, what stands out bent over, peak 1."""
    bent = np.tanh(sound / np.abs(sound).max() * db(12))
    return (bent / np.abs(bent).max()).astype(np.float32)


def room(sound, seconds=0.6):
    """A reverberant room: noise that decays by 60 dB in so many seconds, as loud as the direct sound."""
    n = int(seconds * RATE)
    tail = np.random.default_rng(6).standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    wet = scipy.signal.fftconvolve(sound, tail)[: len(sound)]
    return (sound + wet * rms(sound) / rms(wet)).astype(np.float32) * 0.5


def joined(paths, seconds=SECONDS):
    """Recordings laid end to end until they are long enough."""
    held, n = [], 0
    for path in paths:
        if path.stat().st_size > 4000:  # beeps and placeholders are shorter
            held.append(cases.read(path))
            n += len(held[-1])
        if n >= seconds * RATE:
            break
    return np.concatenate(held)[: seconds * RATE] if held else None


def acted(work):
    """Shouts, laughter, grunts and song of Debian's hedgewars-data."""
    folder = fetch.debian("hedgewars-data", work)
    found = lambda pattern: sorted(folder.glob(f"{VOICES}/{pattern}"))
    wanted = {
        "shouting": [p for w in SHOUTED for p in found(f"[DMPR]*/{w}.ogg")],
        "laughter": found("*/Laugh.ogg"),
        "grunts and cries": found("[DPH]*/O[ow]*.ogg"),
        "song": found("Singer/*.ogg"),
        "pirate": found("Pirate/*.ogg"),
        "hillbilly": found("HillBilly/*.ogg"),
    }
    for name, paths in wanted.items():
        yield Condition("acted", name, joined(paths))


def languages(work):
    """Home recordings in several languages, by speakers that no training heard."""
    for tongue, voice in cases.home_voices(work).items():
        yield Condition("language", tongue, voice.pieces[0])


def conditions(work, debian=True):
    """All of them; without `debian` those that need no package of Debian's, with music made of chords."""
    real = cases.real_voices(work)
    his, hers = real["two_cities"].pieces[0][: SECONDS * RATE], real["lj"].pieces[0][: SECONDS * RATE]
    n = SECONDS * RATE
    t = np.arange(n) / RATE
    music = joined([fetch.debian("hedgewars-data", work) / MUSIC]) if debian else chords(n)
    make = lambda group, name, sound, words=None, voice=True: Condition(group, name, np.asarray(sound, np.float32), words, voice)
    nobody = lambda group, name, sound: make(group, name, sound, voice=False)
    pause = np.concatenate([his[: 3 * RATE], np.zeros(2 * RATE), his[3 * RATE : 6 * RATE]])

    yield nobody("nobody", "digital silence", np.zeros(n))
    yield make("speech", "a pause of digital silence", pause)
    yield nobody("nobody", "room noise, -65 dBFS", at_level(pink(n, 1), -65))
    yield nobody("nobody", "room noise, -45 dBFS", at_level(pink(n, 1), -45))
    yield nobody("nobody", "white noise, -20 dBFS", at_level(np.random.default_rng(2).standard_normal(n), -20))
    yield nobody("nobody", "hum of 50 Hz, -45 dBFS", at_level(sum(np.sin(2 * np.pi * 50 * h * t) / h for h in range(1, 12)), -45))
    yield nobody("nobody", "hum of 60 Hz, -45 dBFS", at_level(sum(np.sin(2 * np.pi * 60 * h * t) / h for h in range(1, 12)), -45))
    yield nobody("nobody", "a whistle of 1 kHz, -12 dBFS", at_level(np.sin(2 * np.pi * 1000 * t), -12))
    yield nobody("nobody", "keys: clicks of full scale", np.where(np.arange(n) % (RATE // 3) < 8, 1.0, 0.0))
    yield nobody("nobody", "rumble of 15 Hz, -20 dBFS", at_level(np.sin(2 * np.pi * 15 * t), -20))
    yield nobody("nobody", "breaths, -40 dBFS", at_level(breaths(n), -40))
    yield nobody("nobody", "music alone, -20 dBFS", at_level(music, -20))
    yield make("speech", MAN, his, MAN)
    yield make("speech", WOMAN, hers, WOMAN)
    for snr in (20, 10, 0):
        yield make("behind", f"room noise at {snr} dB", over(his, pink(n, 3), snr), MAN)
    for snr in (20, 10, 0):
        yield make("behind", f"music at {snr} dB", over(his, music, snr), MAN)
    for snr in (20, 10):
        yield make("behind", f"another talker at {snr} dB", over(his, real["myself"].pieces[0], snr), MAN)
    for seconds in (0.3, 0.6, 1.2):
        yield make("behind", f"a room of {seconds} s", room(his, seconds), MAN)
    yield make("behind", "a room of 0.6 s and its noise at 10 dB", over(room(his), pink(n, 3), 10), MAN)
    yield make("speech", "whispered, a man", whispered(his), MAN)
    yield make("speech", "whispered, a woman", whispered(hers), WOMAN)
    yield make("speech", "child-like: 5 semitones up, formants too", librosa.effects.pitch_shift(hers, sr=RATE, n_steps=5), WOMAN)
    yield make("speech", "very deep: 5 semitones down, formants too", librosa.effects.pitch_shift(his, sr=RATE, n_steps=-5), MAN)
    yield make("chain", "telephone, 8 kHz", telephone(his), MAN)
    yield make("chain", "clipped by 20 dB", np.clip(his * 10, -0.6, 0.6), MAN)
    yield make("chain", "very soft, -60 dBFS", at_level(his, -60), MAN)
    yield make("chain", "very loud, over full scale by 12 dB", his / np.abs(his).max() * db(12), MAN)
    yield make("chain", "loud, just below full scale", his / np.abs(his).max() * db(-0.1), MAN)
    yield make("chain", "loud and dense, just below full scale", squeezed(his) * db(-0.1), MAN)
    yield make("chain", "DC of 0.2", his + 0.2, MAN)
    if debian:
        yield from acted(work)
        yield from languages(work)
