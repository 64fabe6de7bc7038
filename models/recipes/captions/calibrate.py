#!/usr/bin/env python3
"""calibrate.py [--mynah PROGRAM] [--corpus FOLDER]: how far Mynah's word times are from a forced alignment, with sign and by kind of word.

The constants of `src/recognition/whisper/edges.rs` are found here, never on the evaluation's recordings: a woman's telephone prompts (Debian asterisk-core-sounds-en,
with its texts), and, with --corpus, sentences rendered in many voices (a folder of `meta.jsonl.gz` and sounds: file, group, lang, text). Knows the recogniser by its lines only.
"""

import argparse
import gzip
import json
import pathlib
import re
from collections import Counter

import numpy as np

import align
import cases
import fetch
import figures
import sounds
from systems import Mynah

LONGEST = 27.0  # seconds of one recording
PAUSE = 0.35  # seconds beside which a word is first or last: less is a stop's closure
DIGITS = dict(zip("0123456789", "zero one two three four five six seven eight nine".split()))


def prompts(work=fetch.WORK):
    """(sound, text) of the prompts of two seconds and more."""
    (listing,) = fetch.package("asterisk-core-sounds-en", work).rglob("core-sounds-en.txt*")
    sound = {p.stem: p for p in fetch.package("asterisk-core-sounds-en-g722", work).rglob("*.g722")}
    for line in gzip.decompress(listing.read_bytes()).decode("utf-8", "replace").splitlines():
        name, _, text = line.partition(": ")
        if name in sound and "[" not in text and not name.startswith((";", "demo")):
            piece = sounds.read(sound[name])
            if 2 * sounds.RATE < len(piece) < LONGEST * sounds.RATE:
                yield piece, re.sub(r"\b\d\b", lambda m: DIGITS[m[0]], text)


def rendered(corpus, count=120):
    """(sound, text) of so many English sentences, each in another voice."""
    lines = [json.loads(t) for t in gzip.open(corpus / "meta.jsonl.gz", "rt", encoding="utf-8")]
    groups = {}  # a sentence → its text and its files, one a voice
    for m in lines:
        if m["lang"].startswith("en") and not re.search(r"\d", m["text"]):
            groups.setdefault(m["group"], (m["text"], []))[1].append(m["file"].rsplit(".", 1)[0])
    found = {p.stem: p for p in corpus.rglob("g*_*.*")}
    chosen = [(files[n % len(files)], text) for n, (text, files) in enumerate(groups[g] for g in sorted(groups))]
    kept = [(found[name], text) for name, text in chosen if name in found]
    for path, text in kept[:: max(1, len(kept) // count)][:count]:
        yield sounds.read(path), text


def joined(pieces, seed):
    """Recordings [(sound, words)] of pieces behind each other with pauses as speech has them, faint noise behind all; what the aligner can't follow is left out."""
    draw, out, held = np.random.default_rng(seed), [], []
    for piece, text in [*pieces, (None, "")]:
        if piece is None or sum(len(p) for p, _ in held) + len(piece) > LONGEST * sounds.RATE:
            if held:
                sound, starts = sounds.joined([p for p, _ in held], float(draw.uniform(0.3, 0.9)))
                out.append((sounds.over(sound, sounds.pink(len(sound), seed), float(draw.uniform(25, 45))), [w for (_, s), at in zip(held, starts) for w in align.shifted(s, at)]))
            held = []
        if piece is not None:
            try:
                held.append((piece, align.align(piece, text)))
            except SystemExit:
                continue
    return out


def material(work, corpus):
    """{name: (file, words)}; the aligned words are kept beside the files."""
    folder, out = work / "calibration", {}
    kinds = {"prompts": lambda: prompts(work)} | ({"rendered": lambda: rendered(corpus)} if corpus else {})
    for seed, (kind, pieces) in enumerate(kinds.items()):
        if not (folder / f"{kind}.json").exists():
            made = joined(pieces(), seed)
            for n, (sound, _) in enumerate(made):
                sounds.write(folder / f"{kind}-{n:02}.wav", sound)
            (folder / f"{kind}.json").write_text(json.dumps([[vars(w) for w in words] for _, words in made]))
        for n, words in enumerate(json.loads((folder / f"{kind}.json").read_text())):
            out[f"{kind}-{n:02}"] = folder / f"{kind}-{n:02}.wav", [align.Spoken(**w) for w in words]
    return out


def kinds(words):
    """For each word what stands at its start and at its end: a pause or another word."""
    gaps = [b.start - a.end for a, b in zip(words, words[1:])]
    return [("pause" if g >= PAUSE else "word" if g < 0.03 else "gap", "pause" if h >= PAUSE else "word" if h < 0.03 else "gap") for g, h in zip([9, *gaps], [*gaps, 9])]


def line(name, errors):
    e = 1000 * np.array(errors)
    return f"{name}: {len(e)} words, distance {np.median(np.abs(e)):.0f} / {np.percentile(np.abs(e), 90):.0f} ms (p50 / p90), told − aligned p10 {np.percentile(e, 10):+.0f}, p50 {np.median(e):+.0f}, p90 {np.percentile(e, 90):+.0f}"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--mynah", type=pathlib.Path, default=cases.REPOSITORY / "target/release/mynah", help="the program to measure")
    p.add_argument("--corpus", type=pathlib.Path, help="folder of rendered sentences")
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK, help=f"where things are kept (default {fetch.WORK})")
    p.add_argument("--every", type=int, default=1, help="only each nth recording")
    o = p.parse_args()
    held = material(o.work, o.corpus)
    for system in (Mynah("live", o.mynah, ("--live",)), Mynah("whole files", o.mynah, live=False)):
        errors, told_words = {}, Counter()
        for name, (file, words) in [*held.items()][:: o.every]:
            shown = [w for t in system.hear(file).lines if t.kind == "final" for w in t.words]
            told_words[name.split("-")[0]] += len(words)
            for (i, j), (before, after) in [((i, j), kinds(words)[i]) for i, j in figures.placed(words, shown)]:
                for side, told, true, beside in (("starts", shown[j].start, words[i].start, before), ("ends", shown[j].end, words[i].end, after)):
                    for key in (side, f"{side} beside a {beside}", f"{side}, {name.split('-')[0]}"):
                        errors.setdefault(key, []).append(told - true)
        print(f"{system.name}, words of the reference: {dict(told_words)}")
        for key in sorted(errors):
            print("  " + line(key, errors[key]))


if __name__ == "__main__":
    main()
