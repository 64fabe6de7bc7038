#!/usr/bin/env python3
"""train.py CACHE RUN --verifier pretrained.pt --listener model.bin [--start weights.npz] [--seconds 7200]: train the voice model, or go on where RUN stopped.

Items with an answer (data.py: pairs, selves) are judged against it; of strangers the verifier judges the voice and the averaged model the words.
A batch runs in one mode, drawn by MODE_SHARE, so one set of weights learns all look-aheads. With --adversary a discriminator joins.
The only state is RUN/checkpoint.pt (model, average, optimisers, random states, seconds spent) and RUN/log.csv.
"""

import argparse
import copy
import pathlib
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

from adversary import Adversary
from data import FRAMES, Data, bent_mel
from listener import Listener
from precision import bfloat16_is_quick
from model import HOP, MODES, Verifier, Voice, energy_of, heard, log_mel, lookahead, power, spectrum, start_from, synthesise

MODE_SHARE = {"live": 0.4, "balanced": 0.35, "studio": 0.25}
UNSHOWN = 0.1  # share of items whose timbre is not told, so that a verifier's vector alone still is a voice
# taught: distance of what the content says to the listener's features; understood: of what it hears in what was made;
# voice, stranger: mean similarity to the wanted voice; echo: distance of timbres over their variance; fooled, told: the generator's and the discriminator's adversarial loss
FIELDS = ("step", "seconds", "rate", "stft", "mel", "phones", "voice", "stranger", "words", "alike", "echo", "taught", "understood", "fooled", "told")


def judged_mel(sound):
    """Log-mel of hann windows, as the losses compare sounds."""
    return log_mel(power(spectrum(sound, 960, 1024)))


def spectral_loss(x, y):
    """Multi-resolution: relative error of magnitudes plus mean distance of their logarithms, upper half of the spectrum weighted up for consonants."""
    total = 0.0
    for n, hop in ((2048, 480), (1024, 240), (512, 120), (256, 60)):
        w = torch.hann_window(n, device=x.device)
        a, b = (power(torch.stft(s, n, hop, window=w, return_complex=True)).clamp(min=1e-10) for s in (x, y))
        weight = torch.linspace(0.7, 1.3, a.shape[1], device=x.device).view(1, -1, 1)
        total = total + (a.sqrt() - b.sqrt()).norm() / b.sqrt().norm() + 0.5 * (weight * (a.log() - b.log()).abs()).mean()
    return total / 4


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("cache", type=pathlib.Path)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("--verifier", required=True, help="Resemblyzer's pretrained.pt")
    p.add_argument("--listener", required=True, type=pathlib.Path, help="model.bin of Whisper tiny.en for CTranslate2")
    p.add_argument("--start", help="weights to begin with, an .npz of export.py")
    p.add_argument("--seconds", type=float, default=7200, help="training time in all, over every resumption")
    p.add_argument("--rate", type=float, default=6e-4)
    p.add_argument("--level", type=float, default=0.6, help="share of --seconds before the rate begins to fall")
    p.add_argument("--pairs", type=int, default=4)
    p.add_argument("--selves", type=int, default=3)
    p.add_argument("--strangers", type=int, default=3)
    p.add_argument("--blur", type=float, default=0.05, help="spread of the noise on the content")
    p.add_argument("--phones", type=float, default=0.5, help="weight of the phoneme cross-entropy")
    p.add_argument("--alike", type=float, default=1.0, help="weight of the distance between the contents of source and answer")
    p.add_argument("--voice-weight", type=float, default=2.0)
    p.add_argument("--echo", type=float, default=0.15, help="weight of the distance between the timbre read from what was made and that of the reference")
    p.add_argument("--taught", type=float, default=0.5, help="weight of the content's distance to the recogniser's features")
    p.add_argument("--understood", type=float, default=1.0, help="weight of the distance of what the recogniser hears in what was made")
    p.add_argument("--adversary", type=float, default=0.0, help="weight of the adversarial loss; feature matching weighs four times as much")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--seed", type=int, default=0)
    o = p.parse_args()
    o.bf16 = o.device != "cpu" or bfloat16_is_quick()
    return o


class Run:
    """The models, their optimisers, and the one file that holds them between runs."""

    HELD = ("model", "average", "adversary", "optimiser", "other")

    def __init__(self, o):
        self.o, self.place = o, o.run / "checkpoint.pt"
        self.data, self.model, self.verifier = Data(o.cache, o.seed), Voice(), Verifier(o.verifier).to(o.device).train()
        if o.start:
            start_from(self.model, o.start)
        self.model.to(o.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.adversary = Adversary().to(o.device)
        self.listener = Listener(o.listener).to(o.device)
        fresh = [q for n, q in self.model.named_parameters() if n.startswith(("reference", "mode", "taught", "encoder.7", "encoder.8", "encoder.9"))]
        ids = {id(q) for q in fresh}
        old = [q for q in self.model.parameters() if id(q) not in ids]
        groups = [{"params": old, "times": 1.0}, {"params": fresh, "times": 2.0}]
        self.optimiser = torch.optim.AdamW(groups, o.rate, betas=(0.8, 0.99), weight_decay=0.01)
        self.other = torch.optim.AdamW(self.adversary.parameters(), o.rate, betas=(0.5, 0.99), weight_decay=0.0)
        self.step, self.spent = 0, 0.0
        if self.place.exists():
            held = torch.load(self.place, map_location=o.device, weights_only=False)
            for name in self.HELD:
                getattr(self, name).load_state_dict(held[name])
            self.step, self.spent = held["step"], held["seconds"]
            self.data.draw.setstate(held["draw"])
            torch.set_rng_state(held["torch"].cpu())

    def save(self):
        held = {name: getattr(self, name).state_dict() for name in self.HELD}
        held |= {"step": self.step, "seconds": self.spent, "draw": self.data.draw.getstate(), "torch": torch.get_rng_state()}
        new = self.place.with_suffix(".new")
        torch.save(held, new)
        new.replace(self.place)

    def layers(self):
        """Where layers run in bfloat16: where that is quick."""
        return torch.autocast(self.o.device.split(":")[0], torch.bfloat16, enabled=self.o.bf16)

    def losses(self, d, mode):
        """The loss of a batch to go down on, the figures of the log, and the log-mels of what was made and of its answers."""
        o, model, average = self.o, self.model, self.average
        answered, ahead = o.pairs + o.selves, lookahead(mode)
        late = slice(ahead, ahead + FRAMES)
        with torch.no_grad():
            mel = bent_mel(d["a"], d["bend"], d["colour"])[:, : FRAMES + ahead]
            plain = log_mel(power(heard(d["b"])))[:, : FRAMES + ahead]
            wanted_mel, energy = judged_mel(d["b"])[:, :FRAMES], energy_of(plain)[:, :FRAMES]
            shown = log_mel(power(heard(d["shown"])))
        pitch = d["pitch"][:, :FRAMES]
        with self.layers():
            content, _ = model.encode(mel, mode, model.state(mode, len(mel), o.device))
            content, phones = content[:, late], model.phones(content[:, late])
            blurred = content + o.blur * torch.randn_like(content)
            timbre = model.reference(shown) * (torch.rand(len(mel), 1, device=o.device) > UNSHOWN)
            speaker = torch.cat([d["voice"], timbre.float()], 1)
            harmonic, noise, _ = model.decode(blurred, pitch, energy, speaker, model.state(mode, len(mel), o.device)[len(model.encoder) :])
            with torch.no_grad():  # what the averaged model hears in the answer: the same words from another mouth
                answer, _ = average.encode(plain[:answered], mode, average.state(mode, answered, o.device))
        alike = F.mse_loss(content[:answered].float(), answer[:, late].float())
        made = synthesise(pitch * (pitch > 40), harmonic, noise)
        recorded = d["b"][:, : FRAMES * HOP]
        made_mel = judged_mel(made)[:, :FRAMES]
        stft = spectral_loss(made[:answered], recorded[:answered])
        unvoiced = ((pitch == 0) & (energy > -6)).float()[:answered]
        mel_loss = ((made_mel[:answered] - wanted_mel[:answered]).abs().mean(-1) * (1 + 0.7 * unvoiced)).mean()
        spoken = d["phones"][:, :FRAMES]
        phone_loss = F.cross_entropy(phones.float().flatten(0, 1), spoken.flatten(), ignore_index=-1)
        zero = torch.zeros((), device=o.device)
        with self.layers():
            close = (self.verifier(self.verifier.features(made * d["gain"].unsqueeze(1))[:, :FRAMES]).float() * d["wanted"]).sum(-1)
            words = zero
            if o.strangers:
                again = log_mel(power(heard(F.pad(made[answered:], (0, ahead * HOP)))))[:, : FRAMES + ahead]
                said, _ = average.encode(again, mode, average.state(mode, o.strangers, o.device))
                with torch.no_grad():
                    meant, _ = average.encode(mel[answered:], mode, average.state(mode, o.strangers, o.device))
                said, meant = said[:, late].float(), meant[:, late].float()
                words = F.mse_loss(said, meant)
            mine = average.reference(log_mel(power(heard(made)))).float()
            with torch.no_grad():  # a made voice's timbre, read as a reference, should be that of the voice it was shown
                theirs = average.reference(shown).float()
            echo = F.mse_loss(mine, theirs) / (theirs.var(0).mean() + 1e-3)
            # The recogniser's encoder hears the words of every item in `b`; of what was made in those whose answer is no other recording.
            with torch.no_grad():
                meaning = self.listener(recorded)
            speech = (energy > -7).float().unflatten(1, (-1, 2)).amax(-1)
            apart = lambda a, b, where: ((1 - F.cosine_similarity(a.float(), b, dim=-1)) * where).sum() / where.sum().clamp(min=1)
            taught = apart(model.taught(content.unflatten(1, (-1, 2)).flatten(2)), meaning, speech)
            understood = apart(self.listener(made[o.pairs :]), meaning[o.pairs :], speech[o.pairs :])
        voice, stranger = (1 - close[:answered]).mean(), (1 - close[answered:]).mean() if o.strangers else zero
        share = o.strangers / max(1, answered)
        loss = stft + 0.5 * mel_loss + o.phones * phone_loss + o.alike * alike + o.voice_weight * (voice + share * stranger) + share * words + o.echo * echo
        loss = loss + o.taught * taught + o.understood * understood
        return loss, (stft, mel_loss, phone_loss, 1 - voice, 1 - stranger, words, alike, echo, taught, understood), made_mel, wanted_mel[:answered]

    def take(self, d, mode):
        """One step. Gives the figures of the log."""
        o = self.o
        fall = max(0.0, min(1, self.spent / o.seconds) - o.level) / (1 - o.level)  # level first, then down along a half cosine
        rate = o.rate * min(1, (self.step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + np.cos(np.pi * fall)))
        loss, figures, made, recorded = self.losses(d, mode)
        fooled = told = torch.zeros(())
        if o.adversary:
            with self.layers():
                told = self.adversary.told(made, recorded)
            down(self.other, told, self.adversary.parameters(), rate)
            self.adversary.requires_grad_(False)
            with self.layers():
                fooled, match = self.adversary.fooled(made, recorded, len(recorded))
            self.adversary.requires_grad_(True)
            loss = loss + o.adversary * (fooled + 4 * match)
        down(self.optimiser, loss, self.model.parameters(), rate)
        self.step += 1
        with torch.no_grad():
            keep = min(0.998, self.step / (self.step + 20))
            for mine, theirs in zip(self.average.parameters(), self.model.parameters()):
                mine.lerp_(theirs, 1 - keep)
        return rate, [float(x.detach()) for x in (*figures, fooled, told)]


def down(optimiser, loss, weights, rate):
    """A step of `optimiser` down `loss`; none where a gradient is not finite."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("times", 1.0)
    optimiser.zero_grad()
    loss.backward()
    if torch.isfinite(torch.nn.utils.clip_grad_norm_(weights, 2.0)):
        optimiser.step()


def main():
    o = arguments()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    o.run.mkdir(parents=True, exist_ok=True)
    run = Run(o)
    log = open(o.run / "log.csv", "a", buffering=1)
    if log.tell() == 0:
        log.write(",".join(FIELDS) + "\n")
    kinds = ["pair"] * o.pairs + ["self"] * o.selves + ["stranger"] * o.strangers
    sums, summed, last, saved = np.zeros(len(FIELDS) - 3), 0, time.time(), time.time()
    asked = []  # to stop, by a signal: the step in hand is finished and saved
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.append(True))
    while run.spent < o.seconds and not asked:
        mode = run.data.draw.choices(MODES, [MODE_SHARE[m] for m in MODES])[0]
        rate, figures = run.take(run.data.batch(kinds, o.device), mode)
        now = time.time()
        run.spent, last = run.spent + now - last, now
        sums, summed = sums + figures, summed + 1
        if run.step % 25 == 0:
            log.write(",".join([str(run.step), str(round(run.spent)), f"{rate:.2e}", *(f"{x:.4f}" for x in sums / summed)]) + "\n")
            sums, summed = np.zeros(len(FIELDS) - 3), 0
        if now - saved > 120:
            run.save()
            saved = now
    run.save()
    print(f"{run.step} steps, {run.spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
