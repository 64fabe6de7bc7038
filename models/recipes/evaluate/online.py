#!/usr/bin/env python3
"""online.py PROGRAM LIBRARY [FOLDER…]: Mynah's streaming recognisers beside sherpa-onnx's over the same graphs and the same sound, in turns, one thread each.

PROGRAM is the built examples/online_times, LIBRARY ONNX Runtime's. Each FOLDER holds a model as `../contracts` writes them; without one it is a zipformer2 of
a published size with random weights, written to a temporary folder (`../contracts/zipformer2.py`). The small ones under tests/data/contracts measure what is
around the graphs (icefall's and FunASR's; NeMo's are not opened here). Sound comes in pushes of 0.1 s, features are included, and each side hears it once before it is timed. Prints the median and the 95th
percentile of what a chunk takes, the median of the time in which its thread was computing (which other work on the machine hardly changes), the real-time
factor (time over length of the sound), and their ratios; fails where the tokens aren't the same.
pip: numpy==2.4.6 onnx sherpa-onnx==2.0.1 soundfile==0.14.0
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import sherpa_onnx

CONTRACTS = pathlib.Path(__file__).resolve().parents[1] / "contracts"
sys.path.insert(0, str(CONTRACTS))
from graphs import sound  # noqa: E402

TURNS, BLOCK, RATE = 5, 1600, 16000
ROW = "  {:12} a chunk, ms: median {:8.3f}, 95 % {:8.3f}, computing {:8.3f}; real-time factor {:.4f}"


def ours(program, library, folder, samples):
    told = subprocess.run([program, library, folder, str(BLOCK)], input=samples.tobytes(), capture_output=True, check=True)
    return json.loads(told.stdout)


def open_theirs(folder):
    peer = sherpa_onnx.OnlineRecognizer
    told = dict(tokens=str(folder / "tokens.txt"), num_threads=1)
    files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner") if (folder / f"{part}.onnx").exists()}
    if len(files) == 3:
        return peer.from_transducer(**files, **told)
    return peer.from_paraformer(**files, **told) if files else peer.from_zipformer2_ctc(model=str(folder / "model.onnx"), **told)


def theirs(recognizer, samples):
    stream, chunks, computed, total = recognizer.create_stream(), [], [], 0.0
    for i in range(0, len(samples), BLOCK):
        before, began, heard = time.thread_time(), time.perf_counter(), False
        stream.accept_waveform(RATE, samples[i:i + BLOCK])
        while recognizer.is_ready(stream):
            recognizer.decode_stream(stream)
            heard = True
        took = time.perf_counter() - began
        total += took
        if heard:
            chunks.append(took)
            computed.append(time.thread_time() - before)
    return {"tokens": recognizer.tokens(stream), "chunks": chunks, "computed": computed, "total": total}


def compare(program, library, folder):
    names = {line.rsplit(" ", 1)[0].replace("\u2581", " ", 1): int(line.rsplit(" ", 1)[1]) for line in (folder / "tokens.txt").read_text().splitlines()}
    samples = sound(77)
    recognizer = open_theirs(folder)
    theirs(recognizer, samples)
    turns = [(ours(program, library, folder, samples), theirs(recognizer, samples)) for _ in range(TURNS)]
    seconds = len(samples) / RATE
    print(f"{folder.name}: {len(turns[0][0]['chunks'])} chunks in {seconds:.1f} s, {TURNS} turns")
    for mine, other in turns:
        # `</s>` of a Paraformer is no token of ours.
        said = [names[token] for token in other["tokens"] if token != "</s>"]
        assert mine["tokens"] == said and len(mine["chunks"]) == len(other["chunks"]), f"{mine['tokens']} is not {said}"
    rows = []
    for name, side in (("Mynah", 0), ("sherpa-onnx", 1)):
        chunks, computed = (1000 * np.concatenate([turn[side][key] for turn in turns]) for key in ("chunks", "computed"))
        factor = np.median([turn[side]["total"] for turn in turns]) / seconds
        rows.append([np.median(chunks), np.percentile(chunks, 95), np.median(computed), factor])
        print(ROW.format(name, *rows[-1]))
    print(ROW.format("ratio", *(a / b for a, b in zip(*rows))))


def main():
    program, library, *folders = sys.argv[1:]
    if folders:
        for folder in folders:
            compare(program, library, pathlib.Path(folder))
        return
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder) / "zipformer2 of a published size"
        subprocess.run([sys.executable, CONTRACTS / "zipformer2.py", folder], check=True)
        compare(program, library, folder)


main()
