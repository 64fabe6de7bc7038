#!/usr/bin/env python3
"""online.py PROGRAM LIBRARY [FOLDER…]: Mynah's streaming recognisers beside sherpa-onnx's over the same graphs and the same sound, in turns, one thread each.

PROGRAM is the built examples/online_times, LIBRARY ONNX Runtime's. Each FOLDER holds a model as `../contracts` writes them; without one it is a zipformer2 of
a published size with random weights, written to a temporary folder (`../contracts/zipformer2.py`). The small ones under tests/data/contracts measure what is
around the graphs. Sound comes in pushes of 0.1 s, features are included, and each side hears it once before it is timed. Prints the median and the 95th
percentile of what a chunk takes, the median of the time in which its thread was computing (which other work on the machine hardly changes), the real-time
factor (time over length of the sound), and their ratios; fails where the tokens aren't the same. Of NeMo's models those in two graphs, and those with CTC and
another number of bands than 80, are no layout of sherpa-onnx (`../contracts/nemo.py`): Mynah is timed alone.
pip: numpy==2.4.6 onnx sherpa-onnx==2.0.1 soundfile==0.14.0
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import sherpa_onnx

CONTRACTS = pathlib.Path(__file__).resolve().parents[1] / "contracts"
sys.path.insert(0, str(CONTRACTS))
from graphs import sound  # noqa: E402

TURNS, BLOCK, RATE = 5, 1600, 16000
ROW = "  {:12} a chunk, ms: median {:8.3f}, 95 % {:8.3f}, computing {:8.3f}; real-time factor {:.4f}"


def ours(program, library, folder, samples):
    told = subprocess.run([program, library, folder, str(BLOCK)], input=samples.tobytes(), capture_output=True, check=True)
    return json.loads(told.stdout)


def first_input(folder):
    """Name and sizes of what hears the sound's features."""
    graph = next(folder / name for name in ("encoder.onnx", "model.onnx") if (folder / name).exists())
    first = onnx.load(graph, load_external_data=False).graph.input[0]
    return first.name, [axis.dim_value for axis in first.type.tensor_type.shape.dim]


def open_theirs(folder):
    """None where sherpa-onnx doesn't know the layout."""
    peer, (name, sizes) = sherpa_onnx.OnlineRecognizer, first_input(folder)
    if (folder / "decoder_joint.onnx").exists():
        return None
    told = dict(tokens=str(folder / "tokens.txt"), num_threads=1)
    files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner") if (folder / f"{part}.onnx").exists()}
    if len(files) == 2:
        return peer.from_paraformer(**files, **told)
    if "signal" in name:
        if files:
            return peer.from_transducer(**files, **told)
        # It gives this path 80 bands whatever the graph wants.
        return peer.from_nemo_ctc(model=str(folder / "model.onnx"), **told) if sizes[1] == 80 else None
    told["feature_dim"] = sizes[2]
    return peer.from_transducer(**files, **told) if files else peer.from_zipformer2_ctc(model=str(folder / "model.onnx"), **told)


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
    raw = {name: int(i) for name, i in (line.rsplit(" ", 1) for line in (folder / "tokens.txt").read_text().splitlines())}
    # It writes a space for the sign of a word's beginning, except among bytes.
    names = raw | {name.replace("\u2581", " ", 1): i for name, i in raw.items()}
    texts = {i: name for name, i in raw.items()}
    samples = sound(77)
    seconds = len(samples) / RATE
    recognizer = open_theirs(folder)
    if recognizer is None:
        turns = [(ours(program, library, folder, samples),) for _ in range(TURNS)]
    else:
        theirs(recognizer, samples)
        turns = [(ours(program, library, folder, samples), theirs(recognizer, samples)) for _ in range(TURNS)]
    print(f"{folder.name}: {len(turns[0][0]['chunks'])} chunks and {len(turns[0][0]['tokens'])} tokens in {seconds:.1f} s, {TURNS} turns")
    # It tells neither `<unk>` nor languages of NeMo's.
    silent = re.compile("<unk>|<[a-z]{2}-[A-Z]{2}>" if "signal" in first_input(folder)[0] else "$^")
    for mine, *other in turns:
        heard = [token for token in mine["tokens"] if not silent.fullmatch(texts[token].strip())]
        for peer in other:
            # `</s>` of a Paraformer is no token of ours.
            said = [names[token] for token in peer["tokens"] if token != "</s>"]
            assert heard == said and len(mine["chunks"]) == len(peer["chunks"]), f"{heard} is not {said}, or {len(mine['chunks'])} chunks not {len(peer['chunks'])}"
    rows = []
    for name, side in (("Mynah", 0), ("sherpa-onnx", 1))[:len(turns[0])]:
        chunks, computed = (1000 * np.concatenate([turn[side][key] for turn in turns]) for key in ("chunks", "computed"))
        factor = np.median([turn[side]["total"] for turn in turns]) / seconds
        rows.append([np.median(chunks), np.percentile(chunks, 95), np.median(computed), factor])
        print(ROW.format(name, *rows[-1]))
    if len(rows) == 2:
        print(ROW.format("ratio", *(a / b for a, b in zip(*rows))))
    else:
        print("  sherpa-onnx doesn't read this layout")


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
