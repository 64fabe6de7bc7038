#!/usr/bin/env python3
"""plot.py RUN/log.csv curve.svg: the training curve, losses left, similarity to the wanted voice right."""

import csv
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "mynah"
import matplotlib.pyplot as plt


def smooth(values, k=4):
    return [sum(values[max(0, i - k) : i + 1]) / len(values[max(0, i - k) : i + 1]) for i in range(len(values))]


def main(log, out):
    with open(log, newline="") as f:
        rows = list(csv.DictReader(f))
    step = [int(r["step"]) for r in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    for name, label in (("stft", "multi-resolution STFT"), ("mel", "mel"), ("phones", "phonemes, nats"), ("words", "words of strangers"), ("fooled", "discriminator fooled"), ("told", "discriminator's own")):
        values = [float(r.get(name) or 0) for r in rows]  # earlier logs have no discriminator, and a log may begin before it does
        if any(values):
            left.plot(step, smooth(values), label=label)
    for name, label in (("voice", "pairs and selves"), ("stranger", "strangers")):
        right.plot(step, smooth([float(r[name]) for r in rows]), label=label)
    left.set(xlabel="step", ylabel="loss")
    right.set(xlabel="step", ylabel="GE2E cosine to the wanted voice")
    for axis in (left, right):
        axis.legend(fontsize=8)
        axis.grid(alpha=0.3)
    figure.savefig(out, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(*sys.argv[1:3])
