#!/usr/bin/env python3
"""render.py MATERIAL OUT [--minutes 60] [--seed 1000] [--processes 2]: render a parallel, time-aligned corpus of many voices with exact labels.

Kokoro-82M takes a style vector of two halves: [128:256] drives durations and pitch, [0:128] timbre. One sentence rendered with one prosody half and several
timbre halves gives recordings that share every phoneme boundary and every pitch value and differ in voice alone.

MATERIAL is what material.py leaves (Kokoro's graph, vocabulary and voices); sentences come from Debian's fortunes, phonemes from espeak-ng. Written to OUT: *.flac
(24 kHz mono), meta.SEED.PROCESS.jsonl and speakers.json. A line of meta: file, group (same sentence and prosody), lang, text, tokens, durations (frames of 600
samples), f0_80hz (Hz each 300 samples; below 40 unvoiced), speaker (timbre), prosody (speaker), speed, samples. Knows nothing of the voice model.
"""

import argparse
import json
import multiprocessing
import pathlib
import random
import re
import subprocess
import time

import numpy as np

RATE = 24000
DURATIONS, PITCH = "/encoder/Clip_output_0", "/encoder/Reshape_output_0"  # inner tensors of the graph, shown as outputs
FORTUNES = pathlib.Path("/usr/share/games/fortunes")
MIXTURES, DRAWN = 106, 440  # speakers beside the voices themselves: of two voices, and drawn around their mean


def labelled_graph(material, out):
    """Kokoro's graph with durations and pitch among its outputs."""
    import onnx

    path = out / "kokoro.onnx"
    if not path.exists():
        raw = b"".join((material / f"kokoro.{i}.bin").read_bytes() for i in range(1, 5))
        graph = onnx.load_from_string(raw)
        for name in (DURATIONS, PITCH):
            graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        onnx.save(graph, path)
    return path


def speaker_bank(names, seed=57):
    """Speakers as weights over the voices, which sum to 1, the same for every run: the voices; mixtures of two, a few of them beyond either end; then points
    around the mean voice at 1 to 1.6 times the voices' own spread, which differ more from each other than the voices do."""
    draw = random.Random(seed)
    bank = [[[v, 1.0]] for v in names]
    while len(bank) < len(names) + MIXTURES:
        a, b = draw.sample(names, 2)
        w = draw.choice([draw.uniform(0.3, 0.7), draw.uniform(0.3, 0.7), -0.2, 1.2])
        bank.append([[a, round(w, 3)], [b, round(1 - w, 3)]])
    n = len(names)
    for _ in range(DRAWN):
        spread = draw.uniform(1.0, 1.6)
        c = [draw.gauss(0, spread / (n - 1) ** 0.5) for _ in names]
        bank.append([[v, round(1 / n + x - sum(c) / n, 4)] for v, x in zip(names, c)])
    return bank


def sentences():
    """English and other (language, sentence) pairs of 25 to 110 characters, in a fixed order."""
    if not FORTUNES.is_dir():
        raise SystemExit(f"No sentences under {FORTUNES}: run `sudo apt-get install espeak-ng fortunes fortunes-es fortunes-it fortunes-de fortunes-br`.")
    english = [("en-us", f) for f in sorted(FORTUNES.glob("*")) if f.is_file() and not f.is_symlink() and f.name not in ("brasil", "ascii-art")]
    other = [(lang, f) for lang in ("es", "it", "de") for f in sorted((FORTUNES / lang).glob("*"))] + [("pt-br", FORTUNES / "brasil")]
    lists = []
    for files in (english, other):
        found = set()
        for lang, path in files:
            if path.suffix in (".dat", ".u8") or not path.is_file():
                continue
            for quote in path.read_text(encoding="utf-8", errors="ignore").split("\n%"):
                quote = re.sub(r"\s*--.*", "", quote.replace("\n", " "), flags=re.S)
                for s in re.split(r"(?<=[.!?])\s+", quote):
                    s = re.sub(r"\s+", " ", s).strip(' %"')
                    if 25 <= len(s) <= 110 and s[0].isupper() and s[-1] in ".!?" and not re.search(r"[^\w\s,.!?;:'-]|_|http|\d{3}", s):
                        found.add((lang, s))
        found = sorted(found)
        random.Random(5).shuffle(found)
        lists.append(found)
    return lists


def phonemes(text, lang):
    said = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", lang, text], capture_output=True, text=True, check=True).stdout
    return re.sub(r"\([a-z-]+\)", "", said.replace("\n", " ")).strip()


def work(o, process, bank, names, table):
    """One process's share of the sentences, until the time is over."""
    import onnxruntime
    import soundfile

    vocabulary = json.loads((o.material / "vocab.json").read_text())["vocab"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(str(o.out / "kokoro.onnx"), options, providers=["CPUExecutionProvider"]).run
    style = lambda speaker, n: sum(w * table[v][n] for v, w in bank[speaker])
    natural = len(names) + MIXTURES
    english, other = sentences()
    draw, began = random.Random(o.seed + process), time.time()
    with open(o.out / f"meta.{o.seed}.{process}.jsonl", "w", encoding="utf-8") as meta:
        for g in range(10**9):
            if time.time() - began > o.minutes * 60:
                return
            k = (o.seed - 1000) * 10**5 + g * o.processes + process
            lang, text = other[k // 5 % len(other)] if k % 5 == 4 else english[k % len(english)]
            if lang == "en-us" and draw.random() < 0.3:
                lang = "en-gb"
            ids = [vocabulary[c] for c in phonemes(text, lang) if c in vocabulary]
            if not 15 <= len(ids) <= 140:
                continue
            prosody = draw.randrange(natural)
            speed = round(draw.choice([1, 1, 1, draw.uniform(0.8, 1.3)]), 2)
            for j, timbre in enumerate([prosody] + draw.sample(range(natural, len(bank)), o.timbres - 1)):
                halves = np.concatenate([style(timbre, len(ids))[:128], style(prosody, len(ids))[128:]])[None].astype(np.float32)
                sound, lasts, pitch = run(None, {"tokens": np.array([[0, *ids, 0]]), "style": halves, "speed": np.array([speed], np.float32)})
                sound = sound.squeeze()
                if not np.isfinite(sound).all() or abs(sound).max() < 0.02:
                    continue
                name = f"g{k:05d}_{j}.flac"
                soundfile.write(o.out / name, np.clip(sound, -1, 1), RATE, subtype="PCM_16")
                about = {"file": name, "group": k, "lang": lang, "text": text, "tokens": [0, *ids, 0], "durations": [int(x) for x in np.ravel(lasts)]}
                about |= {"f0_80hz": [round(float(x), 1) for x in np.ravel(pitch)], "speaker": timbre, "prosody": prosody, "speed": speed, "samples": sound.size}
                meta.write(json.dumps(about) + "\n")
                meta.flush()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("material", type=pathlib.Path)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--minutes", type=float, default=60, help="time to run")
    a.add_argument("--processes", type=int, default=2)
    a.add_argument("--timbres", type=int, default=3, help="recordings of a sentence")
    a.add_argument("--seed", type=int, default=1000, help="another seed gives other sentences, prosodies and timbres")
    o = a.parse_args()
    o.out.mkdir(parents=True, exist_ok=True)
    names = sorted(p.stem for p in (o.material / "voices").glob("*.bin"))
    table = {n: np.fromfile(o.material / "voices" / f"{n}.bin", dtype=np.float32).reshape(-1, 256) for n in names}
    bank = speaker_bank(names)
    (o.out / "speakers.json").write_text(json.dumps([{"id": i, "mix": m} for i, m in enumerate(bank)]))
    labelled_graph(o.material, o.out)
    running = [multiprocessing.Process(target=work, args=(o, i, bank, names, table)) for i in range(o.processes)]
    for process in running:
        process.start()
    for process in running:
        process.join()
    if any(process.exitcode for process in running):
        raise SystemExit("A process failed: what it says is above.")
    print(sum(1 for _ in o.out.glob("*.flac")), "recordings in", o.out)


if __name__ == "__main__":
    main()
