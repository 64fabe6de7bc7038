#!/usr/bin/env python3
"""second_verifier.py CACHE OUT.npz: fit a speaker verifier that shares nothing with GE2E, to check that a model has not merely learnt to please GE2E.

Statistics of cepstra over speech frames (no pitch, no loudness), then linear discriminant analysis over the training speakers of CACHE; held-out
speakers never enter. It is small and knows colour more than habit: read it beside GE2E, not instead. Prints the equal error rate on held-out speakers.
"""

import argparse
import json
import pathlib

import numpy as np
import scipy.fft
import scipy.linalg

from converter import MEL, spectra
from model import HOP

CEPSTRA, DIMENSIONS = 28, 60


def statistics(sound):
    """Mean and spread of cepstra 1..28 and spread of their change, over frames within 35 dB of the loudest."""
    mel = np.abs(spectra(sound)) ** 2 @ MEL.T
    loud = mel.sum(1)
    mel = np.log(np.maximum(mel, mel.max() * 1e-6))
    c = scipy.fft.dct(mel, axis=1, norm="ortho")[:, 1 : CEPSTRA + 1]
    speech = loud > loud.max() * 10**-3.5
    change = np.diff(c, axis=0)[speech[1:]]
    return np.concatenate([c[speech].mean(0), c[speech].std(0), change.std(0)]).astype(np.float32)


class Second:
    """Sound at 24 kHz → a vector; the cosine of two is their similarity."""

    def __init__(self, path):
        held = np.load(path)
        self.mean, self.project = held["mean"], held["project"]

    def __call__(self, sound):
        return (statistics(sound) - self.mean) @ self.project


def equal_error(vectors, labels):
    v = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    close, same = v @ v.T, labels[:, None] == labels[None]
    upper = np.triu(np.ones_like(same), 1)
    inside, outside = close[same & upper], close[~same & upper]
    cuts = np.sort(inside)
    miss, false = np.arange(len(cuts)) / len(cuts), 1 - np.searchsorted(np.sort(outside), cuts) / len(outside)
    at = np.argmin(np.abs(miss - false))
    return (miss[at] + false[at]) / 2, np.median(inside), np.median(outside)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    o = p.parse_args()
    recordings = json.loads((o.cache / "index.json").read_text())["recordings"]
    sound = np.memmap(o.cache / "sound.i16", np.int16, "r")
    load = lambda r: sound[r["hop"] * HOP : (r["hop"] + r["hops"]) * HOP].astype(np.float32) / 32767
    x = np.stack([statistics(load(r)) for r in recordings])
    who, test = np.array([r["speaker"] for r in recordings]), np.array([r["test"] for r in recordings])
    fit, labels = x[~test], who[~test]
    mean = fit.mean(0)
    centres = {s: fit[labels == s].mean(0) for s in np.unique(labels)}
    inside = np.cov((fit - np.stack([centres[s] for s in labels])).T)
    among = np.cov(np.stack(list(centres.values())).T)
    _, vectors = scipy.linalg.eigh(among, inside + 0.1 * np.trace(inside) / len(inside) * np.eye(len(inside)))
    project = vectors[:, ::-1][:, :DIMENSIONS]
    np.savez(o.out, mean=mean, project=project.astype(np.float32))
    windows = np.memmap(o.cache / "windows.f32", np.float32, "r").reshape(-1, 256)
    ge2e = np.stack([windows[r["window"] : r["window"] + r["windows"]].mean(0) for r in recordings])
    from corpus import HELD

    spoken = test & np.isin(who, list(HELD))
    for name, v in (("this one", (x - mean) @ project), ("GE2E", ge2e)):
        error, same, other = equal_error(v[spoken], who[spoken])
        print(f"{name}: equal error rate {error:.3f}, same speaker {same:.3f}, others {other:.3f} (medians; {spoken.sum()} held-out recordings)")


if __name__ == "__main__":
    main()
