#!/usr/bin/env python3
"""rounding.py RECORDING REFERENCE [--weights FILE.npz]: what the rounding of the weights to eight bits costs, as the level of the difference under the filters' magnitudes.

The model in PyTorch with its trained weights and with the numbers of voice.safetensors hears the recording's features, with the timbre of the reference and a voice's vector drawn at random. Knows no product.
"""

import argparse
import pathlib

import librosa
import numpy as np
import torch

import tensors
from converter import SHOWN, energy_of, log_mel
from model import HOP, MODES, RATE, SPEAKER, Voice, lookahead, start_from

WEIGHTS = pathlib.Path(__file__).parent / "rounds" / "voice.npz"
SILENT = -3.5  # energy below which a frame counts as unvoiced


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("recording", type=pathlib.Path)
    p.add_argument("reference", type=pathlib.Path)
    p.add_argument("--weights", type=pathlib.Path, default=WEIGHTS)
    p.add_argument("--seconds", type=float, default=20)
    o = p.parse_args()
    torch.set_num_threads(1)
    trained = start_from(Voice(), o.weights).eval()
    rounded = Voice().eval()
    rounded.load_state_dict(tensors.widened(tensors.tensors(trained)), strict=False)
    sound, _ = librosa.load(o.recording, sr=RATE, duration=o.seconds)
    shown, _ = librosa.load(o.reference, sr=RATE, duration=SHOWN)
    mel = log_mel(sound)
    energy = energy_of(mel)
    f0 = librosa.yin(sound, fmin=60, fmax=400, sr=RATE, frame_length=1024, hop_length=HOP)
    n = min(len(mel), len(f0))
    f0 = np.where(energy[:n] > SILENT, f0[:n], 0).astype(np.float32)
    vector = np.abs(np.random.default_rng(0).standard_normal(SPEAKER)).astype(np.float32)
    batch = lambda x: torch.tensor(x)[None]
    print("| mode | harmonic | noise | median of a magnitude | 99 of 100 below |\n|---|---|---|---|---|")
    with torch.no_grad():
        speaker = torch.cat([batch(vector / np.linalg.norm(vector)), trained.reference(batch(log_mel(shown)))], 1)
        for mode in MODES:
            late = lambda x, first: np.concatenate([np.full(lookahead(mode), first, np.float32), x[: n - lookahead(mode)]])
            fed = batch(mel[:n]), batch(late(f0, 0)), batch(late(energy[:n], np.log(1.1e-4)))
            exact, coarse = (m(*fed, m.modulation(speaker), mode, m.state(mode))[:2] for m in (trained, rounded))
            decibels = [10 * torch.log10((a - b).square().sum() / a.square().sum()).item() for a, b in zip(exact, coarse)]
            apart = torch.cat([20 * torch.log10(b / a).abs().flatten() for a, b in zip(exact, coarse)]).numpy()
            print(f"| {mode} | {decibels[0]:.1f} dB | {decibels[1]:.1f} dB | {np.median(apart):.2f} dB | {np.percentile(apart, 99):.2f} dB |")


if __name__ == "__main__":
    main()
