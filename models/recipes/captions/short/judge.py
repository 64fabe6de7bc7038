#!/usr/bin/env python3
"""judge.py CACHE --model FOLDER [--run RUN]: how a short tail changes what is said, greedily, with the published encoder and with a trained one.

Words wrong against the published encoder's own words with LONG seconds of silence, on buffers cut anywhere from held-out speakers and sentences of the corpus,
and on real recordings (--sounds FOLDER of .wav at 16 kHz, cut into buffers). Prints a table; seeds are fixed.
"""

import argparse
import pathlib
import re

import numpy as np
import soundfile
import torch
from tokenizers import Tokenizer

from data import Data
from train import LONG, TAIL, opening
from whisper import RATE, Decoder, Encoder, log_mel, variables


@torch.no_grad()
def greedy(encoder, decoder, sound, tail, start, end, rate=6.5, grace=5):
    """Tokens that are likeliest one after the other, at most 6.5 a second; whether the end came by itself."""
    states = encoder(log_mel(sound[None], tail))
    tokens, most = list(start), grace + int(rate * len(sound) / RATE)
    while len(tokens) - len(start) < most:
        x, _ = decoder(torch.tensor([tokens]), states)
        token = int(decoder.logits(x[0, -1]).argmax())
        if token == end:
            return tokens[len(start) :], True
        tokens.append(token)
    return tokens[len(start) :], False


def distance(a, b):
    row = np.arange(len(b) + 1)
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return int(row[-1])


def buffers(o, tokenizer):
    """Named lists of buffers."""
    data, g = Data(o.cache, None, tokenizer, 1), np.random.default_rng(1)
    cut = lambda x: x[: round(g.uniform(0.5, 1.0) * len(x))]
    rendered = [data.worn(cut(np.concatenate([np.zeros(4000, np.float32), data.read(r)]))) for r in g.permutation(data.held_out)[: o.count]]
    real = []
    for path in sorted(o.sounds.glob("**/*.wav")) if o.sounds else []:
        x, at = soundfile.read(path, dtype="float32")[0], 0
        while at < len(x) - RATE:
            n = round(g.uniform(1.5, 9.0) * RATE)
            real.append(x[at : at + n])
            at += n
    return {"held-out renders": rendered, "real": real}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("--model", type=pathlib.Path, required=True)
    p.add_argument("--run", type=pathlib.Path)
    p.add_argument("--sounds", type=pathlib.Path)
    p.add_argument("--count", type=int, default=30)
    p.add_argument("--tails", type=float, nargs="+", default=[TAIL])
    o = p.parse_args()
    torch.set_num_threads(1)
    held, tokenizer = variables(o.model / "model.bin"), Tokenizer.from_file(str(o.model / "tokenizer.json"))
    published, decoder = Encoder(held).eval(), Decoder(held, o.model / "config.json").eval()
    start, end = opening(tokenizer)
    encoders = {"published": published}
    if o.run:
        encoders["trained"] = Encoder(held).eval()
        encoders["trained"].load_state_dict(torch.load(o.run / "checkpoint.pt", weights_only=False)["average"])
    words = lambda ids: re.findall(r"[a-z0-9']+", tokenizer.decode(ids).lower())
    print("| buffers | encoder | tail, s | words otherwise | ends by itself |\n|---|---|---|---|---|")
    for name, sounds in buffers(o, tokenizer).items():
        truth = [words(greedy(published, decoder, torch.tensor(x), LONG, start["transcript"], end)[0]) for x in sounds]
        for label, encoder in encoders.items():
            for tail in o.tails:
                said = [greedy(encoder, decoder, torch.tensor(x), tail, start["transcript"], end) for x in sounds]
                wrong = sum(distance(t, words(s)) for t, (s, _) in zip(truth, said))
                print(f"| {name} ({len(sounds)}) | {label} | {tail:g} | {wrong / max(1, sum(map(len, truth))):.3f} | {np.mean([e for _, e in said]):.2f} |", flush=True)


if __name__ == "__main__":
    main()
