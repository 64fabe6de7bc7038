#!/usr/bin/env python3
"""bound.py [--cases 14]: where words are lost: by features and synthesis, by the model, or by the change of voice.

Each real source is made again from its own filters: the envelope of 80 mels under the analysis window, measured pitch, the model's synthesis: so
many would a perfect model keep. And it is converted into its own voice by the shipped pack, in balanced mode. Prints pooled word errors of both recognisers, beside the source's own.
"""

import argparse
import itertools
import pathlib

import numpy as np
import torch

import cases
import fetch
import judges
from converter import Pack
from model import BINS, HOP, MEL, heard, hearing_window, power, synthesise
from product import SHIPPED

SCALE = 0.3  # of both excitations
BREATH = 0.2  # noise in voiced frames, of the envelope
CENTRES = ((MEL * torch.arange(BINS)).sum(1) / MEL.sum(1)).numpy()


def made_again(sound, f0):
    x = torch.tensor(sound)[None]
    n = min(x.shape[1] // HOP, len(f0))
    mel = (power(heard(x))[0, :n] / hearing_window().square().sum()) @ MEL.T / MEL.sum(1)
    bins = np.stack([np.exp(np.interp(np.arange(BINS), CENTRES, np.log(m + 1e-12))) for m in mel.numpy()])
    filters = torch.tensor(bins[None]).float().sqrt() / SCALE
    pitch = torch.tensor(f0[None, :n]).float()
    voiced = (pitch > 0).float().unsqueeze(-1)
    return synthesise(pitch, filters * voiced + 1e-6, filters * (1 - voiced * (1 - BREATH)) + 1e-6)[0].numpy()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--cases", type=int, default=14)
    p.add_argument("--work", type=pathlib.Path, default=fetch.WORK)
    o = p.parse_args()
    torch.manual_seed(0)
    judge, pack, errors, words, seen = judges.Judges(o.work), Pack(SHIPPED), {}, 0, set()
    for case in itertools.islice(cases.real_cases(o.work, ["read"]), o.cases):
        if case.text is None or (key := hash(case.source.tobytes())) in seen:
            continue
        seen.add(key)
        text = judge.words(case.source, "base") if case.text == cases.HEARD else case.text
        words += len(judges.plain(text))
        f0 = judge.pitch(case.source)
        own = pack.convert(case.source, f0, pack.speaker(judge.voice(case.source), case.source), "balanced")
        for name, sound in (("source", case.source), ("made again", made_again(case.source, f0)), ("own voice", own)):
            for recogniser in judges.RECOGNISERS:
                errors[name, recogniser] = errors.get((name, recogniser), 0) + judges.word_errors(judge.words(sound, recogniser), text)[0]
    for (name, recogniser), count in errors.items():
        print(f"{name}, Whisper {recogniser}: {count / words:.3f} of {words} words")


if __name__ == "__main__":
    main()
