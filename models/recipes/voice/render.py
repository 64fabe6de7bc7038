#!/usr/bin/env python3
"""render.py MATERIAL OUT [--minutes 60] [--seed 1000] [--processes 2] [--distinct | --held-out]: render speech of many voices with exact labels.

Kokoro-82M takes a style vector of two halves: [128:256] drives durations and pitch, [0:128] timbre. One sentence rendered with one prosody half and several
timbre halves gives recordings that share every phoneme boundary and every pitch value and differ in voice alone.

Three kinds of corpus:
  parallel (default)  each sentence in --timbres voices, for the decoder, which learns voices;
  --distinct          no sentence twice and a speaker drawn anew for each, for the content encoder, which learns speech. A later run with the same OUT goes on
                      behind the last sentence;
  --held-out          the recordings of held_out.jsonl, on which encoders are judged. No other kind ever speaks one of their sentences.

MATERIAL is what material.py leaves (Kokoro's graph, vocabulary and voices); sentences come from Debian's fortunes, phonemes from espeak-ng. Written to OUT: *.flac
(24 kHz mono), meta.SEED.PROCESS.jsonl and speakers.json. A line of meta: file, group (same sentence and prosody), lang, text, tokens, durations (frames of 600
samples), f0_80hz (Hz each 300 samples; below 40 unvoiced), speaker (timbre), prosody (speaker), speed, samples. Knows nothing of the voice model.
"""

import argparse
import itertools
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
HELD_OUT = pathlib.Path(__file__).with_name("held_out.jsonl")
HELD = {6, 20, 33, 48, 60, 90, 120, 150, 175, 230, 290, 350, 410, 470, 530, 580}  # speakers that no training ever hears: voices, mixtures and drawn ones. Nor what they say in the first corpus's second half
ENGLISH = 0.7  # share of the sentences of a distinct corpus
FRESH = 10**6  # speakers drawn for one sentence have ids from here on
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
    bank += [drawn_speaker(names, draw, draw.uniform(1.0, 1.6)) for _ in range(DRAWN)]
    return bank


def drawn_speaker(names, draw, spread):
    """A point around the mean voice at `spread` times the voices' own spread, as weights over the voices that sum to 1."""
    n = len(names)
    c = [draw.gauss(0, spread / (n - 1) ** 0.5) for _ in names]
    return [[v, round(1 / n + x - sum(c) / n, 4)] for v, x in zip(names, c)]


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


def held_out():
    return [json.loads(line) for line in HELD_OUT.read_text(encoding="utf-8").splitlines()]


# Each plan yields (group, language, text, prosody, [(speaker, weights over the voices), ...], speed): a sentence and the voices that speak it, for one process.


def parallel_plan(o, process, bank, natural, draw):
    english, other = sentences()
    kept = {r["text"] for r in held_out()}
    for g in itertools.count():
        k = (o.seed - 1000) * 10**5 + g * o.processes + process
        lang, text = other[k // 5 % len(other)] if k % 5 == 4 else english[k % len(english)]
        if lang == "en-us" and draw.random() < 0.3:
            lang = "en-gb"
        prosody, speed = draw.randrange(natural), round(draw.choice([1, 1, 1, draw.uniform(0.8, 1.3)]), 2)
        voices = [prosody, *draw.sample(range(natural, len(bank)), o.timbres - 1)]
        if text not in kept:
            yield k, lang, text, prosody, [(i, bank[i]) for i in voices], speed


def distinct_plan(o, process, bank, natural, draw, names):
    """Every sentence once. A third of the speakers are the voices and their mixtures, in their own prosody; the others are drawn, mostly nearer the mean than the bank's."""
    kept = {r["text"] for r in held_out()}
    english, other = ([s for s in listed if s[1] not in kept] for listed in sentences())
    done = 1 + max((json.loads(line)["group"] for p in o.out.glob("meta.*.jsonl") for line in p.open(encoding="utf-8")), default=-1)
    heard = [i for i in range(natural) if i not in HELD]
    for k in itertools.count(done + process, o.processes):
        at = random.Random(o.seed * 10**7 + k)
        index, is_english = divmod(k, 10)[0], k % 10 < ENGLISH * 10
        share = round(ENGLISH * 10)
        listed, n = (english, index * share + k % 10) if is_english else (other, index * (10 - share) + k % 10 - share)
        if n >= len(listed):
            if n >= len(english) and n >= len(other):
                return
            continue
        lang, text = listed[n]
        if lang == "en-us" and at.random() < 0.3:
            lang = "en-gb"
        prosody, speed = at.choice(heard), round(at.choice([1, 1, at.uniform(0.75, 1.35)]), 2)
        if at.random() < 0.35:
            speaker = prosody, bank[prosody]
        else:
            speaker = FRESH + k, drawn_speaker(names, at, at.uniform(0.6, 1.4))
        yield k, lang, text, prosody, [speaker], speed


def held_out_plan(o, process, bank):
    for k, r in enumerate(held_out()):
        if k % o.processes == process:
            yield k, r["lang"], r["text"], r["prosody"], [(r["speaker"], bank[r["speaker"]])], r["speed"]


def work(o, process, bank, names, table):
    """One process's share of the sentences, until the time is over."""
    import onnxruntime
    import soundfile

    vocabulary = json.loads((o.material / "vocab.json").read_text())["vocab"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    run = onnxruntime.InferenceSession(str(o.out / "kokoro.onnx"), options, providers=["CPUExecutionProvider"]).run
    style = lambda weights, n: sum(w * table[v][n] for v, w in weights)
    natural, draw, began = len(names) + MIXTURES, random.Random(o.seed + process), time.time()
    if o.held_out:
        plan = held_out_plan(o, process, bank)
    elif o.distinct:
        plan = distinct_plan(o, process, bank, natural, draw, names)
    else:
        plan = parallel_plan(o, process, bank, natural, draw)
    with open(o.out / f"meta.{o.seed}.{process}.jsonl", "a", encoding="utf-8") as meta:
        for k, lang, text, prosody, voices, speed in plan:
            if time.time() - began > o.minutes * 60:
                return
            ids = [vocabulary[c] for c in phonemes(text, lang) if c in vocabulary]
            if not 15 <= len(ids) <= 140 and not o.held_out:
                continue
            for j, (speaker, weights) in enumerate(voices):
                halves = np.concatenate([style(weights, len(ids))[:128], style(bank[prosody], len(ids))[128:]])[None].astype(np.float32)
                sound, lasts, pitch = run(None, {"tokens": np.array([[0, *ids, 0]]), "style": halves, "speed": np.array([speed], np.float32)})
                sound = sound.squeeze()
                if not np.isfinite(sound).all() or abs(sound).max() < 0.02:
                    continue
                name = f"g{k:05d}_{j}.flac"
                soundfile.write(o.out / name, np.clip(sound, -1, 1), RATE, subtype="PCM_16")
                about = {"file": name, "group": k, "lang": lang, "text": text, "tokens": [0, *ids, 0], "durations": [int(x) for x in np.ravel(lasts)]}
                about |= {"f0_80hz": [round(float(x), 1) for x in np.ravel(pitch)], "speaker": speaker, "prosody": prosody, "speed": speed, "samples": sound.size}
                if speaker >= FRESH:
                    about["mix"] = weights
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
    kind = a.add_mutually_exclusive_group()
    kind.add_argument("--distinct", action="store_true", help="no sentence twice, each in a voice drawn for it")
    kind.add_argument("--held-out", action="store_true", help="the recordings of held_out.jsonl")
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
