#!/usr/bin/env python3
"""train_decoder.py CACHE RUN --encoder encoder.npz --verifier pretrained.pt [--seconds 7200]: stage 2, the decoder on the frozen content of stage 1, or on from where RUN stopped.

CACHE is what corpus.py wrote. Items have an answer: pairs (timbre A in, timbre B out) and selves (one recording, its source bent). No step makes sound: what is compared is the mel power that the two filters give their excitations in the mean, |P|²|H|² + |Z|²|N|², with the
spectra of the real pulse train and of noise, and the answer's, in two resolutions. State: RUN/checkpoint.pt, RUN/log.csv, RUN/decoder.npz (the average, half precision).
"""

import argparse
import copy
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

from data import Data, bent_mel
from decoder import Decoder
from encoder import Encoder
from model import FFT, HOP, MEL, energy_of, excitation, heard, log_mel, power, spectrum
from modes import MODES, lookahead
from precision import bfloat16_is_quick
from running import falling, train

FRAMES, SKIP = 320, 60  # of an item, and of it not judged: the caches are filling
SHARE = {"live": 0.4, "balanced": 0.35, "studio": 0.25}
WINDOWS = (960, 400)  # samples
FIELDS = ("step", "seconds", "rate", "mel", "short", "unvoiced")


def expected(f0, harmonic, noise, window, bank):
    """[batch, n, 80] ln of the mel power that the filters give in the mean: pulses through one, noise of the same power in all bins through the other."""
    with torch.no_grad():
        pulse, hiss = excitation(f0)
        pulse = power(spectrum(pulse, window, FFT))[:, : f0.shape[1]]
        hiss = hiss.square().mean() * torch.hann_window(window, device=f0.device).square().sum()
    return torch.log((pulse * harmonic.square() + hiss * noise.square()) @ bank.T + 1e-5)


class Run:
    def __init__(self, o):
        torch.manual_seed(o.seed)
        self.o, self.step, self.spent = o, 0, 0.0
        self.data = Data(o.cache, o.seed, frames=FRAMES)
        with np.load(o.encoder) as held:
            named = {k.removeprefix("encoder."): torch.tensor(held[k].astype(np.float32)) for k in held.files if k.startswith("encoder.")}
        width, content = named["content.weight"].shape[1], named["content.weight"].shape[0]
        self.encoder = Encoder(width, content).to(o.device)
        self.encoder.load_state_dict(named)
        self.encoder.requires_grad_(False)
        self.decoder = Decoder(content).to(o.device)
        self.average = copy.deepcopy(self.decoder).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(self.decoder.parameters(), lr=o.rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.bank = MEL.to(o.device)
        self.path = o.run / "checkpoint.pt"
        if self.path.exists():
            held = torch.load(self.path, map_location=o.device, weights_only=False)
            for module, kept in zip((self.decoder, self.average, self.optimiser), held["states"]):
                module.load_state_dict(kept)
            self.step, self.spent = held["step"], held["spent"]
            torch.set_rng_state(held["random"])
            self.data.draw.setstate(held["draw"])

    def save(self):
        whole = {"states": [m.state_dict() for m in (self.decoder, self.average, self.optimiser)], "step": self.step, "spent": self.spent}
        whole |= {"random": torch.get_rng_state(), "draw": self.data.draw.getstate()}
        torch.save(whole, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)
        np.savez(self.o.run / "decoder.npz", **{k: v.cpu().numpy().astype(np.float16) for k, v in self.average.state_dict().items()})

    def losses(self, d, mode):
        ahead, n, o = lookahead(mode), FRAMES, self.o
        with torch.no_grad():
            mel = bent_mel(d["a"], d["bend"], d["colour"])[:, : n + ahead]
            recorded, shown = d["b"][:, : n * HOP], log_mel(power(heard(d["shown"])))
            f0 = d["pitch"][:, :n]
            energy = energy_of(mel)[:, :n]
        with torch.autocast(o.device.split(":")[0], torch.bfloat16, enabled=o.bf16):
            with torch.no_grad():
                content = self.encoder(mel, mode, self.encoder.state(mode, len(mel), o.device))[0][:, ahead : ahead + n]
            content = content + o.blur * torch.randn_like(content)
            memory, mean = self.decoder.reference(shown)
            voice = self.decoder.voice(d["voice"], mean)
            harmonic, noise, _ = self.decoder(content, f0, energy, memory, voice, self.decoder.state(len(mel), o.device))
        harmonic, noise = self.decoder.magnitudes(harmonic, noise)
        unvoiced = (f0 == 0).float()[:, SKIP:]
        parts = []
        for window in WINDOWS:
            wanted = log_mel(power(spectrum(recorded, window, FFT)))[:, :n]
            apart = (expected(f0, harmonic, noise, window, self.bank) - wanted)[:, SKIP:].abs().mean(-1)
            parts.append(apart)
        quiet = (parts[0] * unvoiced).sum() / unvoiced.sum().clamp(min=1)
        return parts[0].mean(), parts[1].mean(), quiet

    def train_step(self):
        o = self.o
        rate = falling(o, self.step, self.spent)
        mode = self.data.draw.choices(MODES, [SHARE[m] for m in MODES])[0]
        mel, short, quiet = self.losses(self.data.batch(["pair"] * o.pairs + ["self"] * o.selves, o.device), mode)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad()
        (mel + 0.5 * short + 0.3 * quiet).backward()
        if torch.isfinite(torch.nn.utils.clip_grad_norm_(self.decoder.parameters(), 1.0)):
            self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            keep = min(0.998, self.step / (self.step + 20))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.decoder.parameters()), 1 - keep)
        return rate, [float(x.detach()) for x in (mel, short, quiet)]


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--encoder", type=pathlib.Path, required=True, help="encoder.npz of stage 1")
    p.add_argument("--seconds", type=float, default=7200, help="training time in all, over every resumption")
    p.add_argument("--level", type=float, default=0.6, help="share of --seconds before the rate begins to fall")
    p.add_argument("--rate", type=float, default=1e-3)
    p.add_argument("--pairs", type=int, default=10)
    p.add_argument("--selves", type=int, default=8)
    p.add_argument("--blur", type=float, default=0.1, help="spread of the noise on the content")
    p.add_argument("--device", default="cpu")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    o.bf16 = o.device != "cpu" or bfloat16_is_quick()
    return o


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    o.run.mkdir(parents=True, exist_ok=True)
    run = Run(o)
    train(run, o, FIELDS, 25)
    print(f"{run.step} steps, {run.spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
