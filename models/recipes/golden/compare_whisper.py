#!/usr/bin/env python3
"""compare_whisper.py ASSETS MODEL_FOLDER [LIBRIVOX_FOLDER]: our recogniser beside faster-whisper on the same weights and pieces.

ASSETS holds the packs `onnxruntime`, `whisper-tiny-en` and `recordings`; MODEL_FOLDER the same model in CTranslate2's layout;
LIBRIVOX_FOLDER is test/data/librivox of Debian's pocketsphinx-testdata. Recordings are cut at pauses into pieces of at most 28 s, and also
into short ones of at most 9 s. Both programs get one thread. Prints word error rates against the transcript, against each other, and the
time a second of sound.
pip: numpy==2.4.6 soundfile==0.14.0 librosa==0.11.0 faster-whisper==1.2.1 ctranslate2
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"
import librosa
import numpy as np
import soundfile as sf
from faster_whisper import WhisperModel

ROOT = pathlib.Path(__file__).resolve().parents[3]
RATE = 16000


def plain(text):
    return re.findall(r"[\w']+", text.lower())


def errors(reference, found):
    row = list(range(len(found) + 1))
    for i, r in enumerate(reference, 1):
        corner, row[0] = row[0], i
        for j, f in enumerate(found, 1):
            corner, row[j] = row[j], min(corner + (r != f), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def pieces(samples, longest):
    out = []
    while len(samples) > longest * RATE:
        hop = RATE // 50
        places = range(int(0.4 * longest * RATE), longest * RATE - RATE // 5, hop)
        cut = min(places, key=lambda p: np.square(samples[p : p + RATE // 5]).sum()) + RATE // 10
        out.append(samples[:cut])
        samples = samples[cut:]
    return out + [samples]


def library(assets):
    return next(p for p in (assets / "onnxruntime").rglob("*") if re.fullmatch(r"(lib)?onnxruntime\.(so|dylib|dll)", p.name))


def ours(assets, parts, folder):
    files = []
    for i, part in enumerate(parts):
        files.append(folder / f"{i:03}.wav")
        sf.write(files[-1], part, RATE, subtype="FLOAT")
    command = ["cargo", "run", "--quiet", "--example", "recognise", "--", library(assets), assets / "whisper-tiny-en", *files]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    results = [json.loads(line) for line in lines]
    return " ".join(w["text"] for r in results for w in r["words"]), sum(r["took"] for r in results)


def theirs(model, parts, beam):
    start, texts = time.time(), []
    for part in parts:
        segments, _ = model.transcribe(part, language="en", beam_size=beam, without_timestamps=True, condition_on_previous_text=False)
        texts += [s.text for s in segments]
    return " ".join(texts), time.time() - start


def main():
    assets, model_folder = map(pathlib.Path, sys.argv[1:3])
    clips = []
    for name in ("two_cities", "beckett", "endgame_nagg_nell"):
        transcript = ROOT / f"tests/data/transcripts/{name}.txt"
        text = transcript.read_text() if transcript.exists() else None
        clips.append((name, librosa.load(assets / f"recordings/{name}.wav", sr=RATE)[0], text))
    if len(sys.argv) > 3:
        folder = pathlib.Path(sys.argv[3])
        names = (folder / "fileids").read_text().split()
        texts = [re.sub(r"</?s>|\(.*?\)", "", line) for line in (folder / "transcription").read_text().splitlines()]
        clips += [(n, librosa.load(folder / f"{n}.wav", sr=RATE)[0], t) for n, t in zip(names, texts)]
    model = WhisperModel(str(model_folder), device="cpu", compute_type="float32", cpu_threads=1, num_workers=1)
    for longest in (28, 9):
        total = dict.fromkeys(("ours", "beam 1", "beam 5"), (0, 0, 0.0))
        seconds = 0.0
        for name, samples, text in clips:
            parts, found = pieces(samples, longest), {}
            seconds += len(samples) / RATE
            with tempfile.TemporaryDirectory() as folder:
                found["ours"] = ours(assets, parts, pathlib.Path(folder))
            found["beam 1"], found["beam 5"] = theirs(model, parts, 1), theirs(model, parts, 5)
            apart = errors(plain(found["beam 1"][0]), plain(found["ours"][0]))
            print(f"\n{name}, {len(samples) / RATE:.1f} s in {len(parts)} pieces; {apart} words apart from beam 1 of {len(plain(found['beam 1'][0]))}")
            for who, (said, took) in found.items():
                wrong, words = (errors(plain(text), plain(said)), len(plain(text))) if text else (0, 0)
                total[who] = tuple(a + b for a, b in zip(total[who], (wrong, words, took)))
                rate = f"{wrong} of {words} wrong" if text else "no transcript"
                print(f"  {who}: {rate}, RTF {took * RATE / len(samples):.3f}: {said.strip()}")
        print(f"\nPieces of at most {longest} s, {seconds:.1f} s in all:")
        for who, (wrong, words, took) in total.items():
            print(f"  {who}: WER {100 * wrong / words:.1f} % ({wrong} of {words}), RTF {took / seconds:.3f}")


main()
