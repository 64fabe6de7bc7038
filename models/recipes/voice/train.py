#!/usr/bin/env python3
"""train.py CACHE RUN --verifier pretrained.pt --listener model.bin --start start.npz [--joint 0.3] [--seconds 7200]: stage 2, the decoder on the frozen content of stage 1, or with --joint
stage 3, both at once; or on from where RUN stopped.

CACHE is what corpus.py wrote, start.npz what graft.py or `export.py --weights` wrote. Items with an answer (data.py: pairs, selves) are judged against it; of strangers the verifier
judges the voice, and content and recogniser judge the words. Some selves are reversed: the averaged model speaks the recording in another voice of the batch first, and the answer is the recording itself (so what
comes out is real speech, whatever went in).
With --joint the encoder learns too, at a share of the rate, held to what the encoder of the start makes of the undisturbed answer: so it hears speech as it did and no voice more.
The encoder hears a source from LEAD frames before the decoder begins, the decoder SKIP frames before anything is judged, so neither is judged with an empty past. A batch runs in one mode, drawn by MODE_SHARE.
State: RUN/checkpoint.pt (weights, their average, discriminator, optimisers, random states, seconds spent), RUN/log.csv.
"""

import argparse
import copy
import pathlib

import torch
import torch.nn.functional as F

from adversary import Adversary
from data import Data, bent_mel
from listener import Listener
from model import HOP, MODES, Verifier, Voice, energy_of, heard, log_mel, lookahead, power, spectrum, start_from, synthesise
from precision import bfloat16_is_quick
from running import falling, train

MODE_SHARE = {"live": 0.4, "balanced": 0.35, "studio": 0.25}
LEAD, SKIP = 80, 40  # frames that only the encoder hears, and frames that are made but not judged
MADE = SKIP + Verifier.FRAMES
UNSHOWN = 0.1  # share of items whose timbre is not told, so that a verifier's vector alone still is a voice
# voice, stranger: mean similarity to the wanted voice; content, anchor: distance of the content of what was made, and of the source's, from what the start's encoder makes of the answer; echo: distance of timbres over their variance;
# recogniser: distance of what its encoder hears in what was made; generator, discriminator: their adversarial losses
FIELDS = ("step", "seconds", "rate", "stft", "mel", "voice", "stranger", "content", "anchor", "echo", "recogniser", "generator", "discriminator")


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
    p.add_argument("--start", required=True, help="weights to begin with, an .npz of graft.py or export.py")
    p.add_argument("--seconds", type=float, default=7200, help="training time in all, over every resumption")
    p.add_argument("--rate", type=float, default=6e-4)
    p.add_argument("--level", type=float, default=0.6, help="share of --seconds before the rate begins to fall")
    p.add_argument("--pairs", type=int, default=4)
    p.add_argument("--selves", type=int, default=4)
    p.add_argument("--reversed", type=int, default=2, help="of the selves, those whose source is a conversion")
    p.add_argument("--strangers", type=int, default=4)
    p.add_argument("--blur", type=float, default=0.1, help="spread of the noise on the content")
    p.add_argument("--joint", type=float, default=0.0, help="the encoder's rate as a share of the decoder's; 0: it is frozen")
    p.add_argument("--anchor", type=float, default=1.0, help="with --joint: weight of the distance from the content of the start's encoder")
    p.add_argument("--content", type=float, default=1.0, help="weight of the distance of the made content from the source's")
    p.add_argument("--voice", type=float, default=2.5, help="weight of the similarity to the wanted voice")
    p.add_argument("--echo", type=float, default=0.15, help="weight of the distance between the timbre read from what was made and that of the reference")
    p.add_argument("--recogniser", type=float, default=5.0, help="weight of the distance of what the recogniser hears in what was made")
    p.add_argument("--adversary", type=float, default=0.1, help="weight of the adversarial loss; feature matching weighs four times as much")
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
        torch.manual_seed(o.seed)
        self.o, self.path, self.step, self.spent = o, o.run / "checkpoint.pt", 0, 0.0
        self.data, self.verifier, self.listener = Data(o.cache, o.seed, LEAD, MADE), Verifier(o.verifier).to(o.device), Listener(o.listener).to(o.device)
        self.model = start_from(Voice(), o.start).to(o.device)
        self.first = copy.deepcopy(self.model.encoder).requires_grad_(False)  # stays as it is: judge of contents
        self.model.encoder.requires_grad_(o.joint > 0)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.adversary = Adversary().to(o.device)
        self.weights = [w for w in self.model.parameters() if w.requires_grad]
        ours = {id(w) for w in self.model.encoder.parameters()}
        groups = [{"params": [w for w in self.weights if id(w) not in ours]}]
        if o.joint:
            groups.append({"params": [w for w in self.weights if id(w) in ours], "times": o.joint})
        self.optimiser = torch.optim.AdamW(groups, o.rate, betas=(0.8, 0.99), weight_decay=0.01)
        self.other = torch.optim.AdamW(self.adversary.parameters(), o.rate, betas=(0.5, 0.99), weight_decay=0.0)
        if self.path.exists():
            held = torch.load(self.path, map_location=o.device, weights_only=False)
            for name in self.HELD:
                getattr(self, name).load_state_dict(held[name])
            self.step, self.spent = held["step"], held["spent"]
            self.data.draw.setstate(held["draw"])
            torch.set_rng_state(held["random"].cpu())

    def save(self):
        held = {name: getattr(self, name).state_dict() for name in self.HELD}
        held |= {"step": self.step, "spent": self.spent, "draw": self.data.draw.getstate(), "random": torch.get_rng_state()}
        torch.save(held, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)

    def layers(self):
        """Where layers run in bfloat16: where that is quick."""
        return torch.autocast(self.o.device.split(":")[0], torch.bfloat16, enabled=self.o.bf16)

    def content(self, encoder, mel, mode):
        """Content of log-mels, level with them: the last `lookahead` frames are heard and not told."""
        return encoder(mel, mode, encoder.state(mode, len(mel), mel.device))[0][:, lookahead(mode) :]

    def reversed(self, d, mode, which):
        """The sources of the items `which`, spoken by the averaged model in the voices of other items, at another pitch."""
        sound, others = d["b"][which], [(i + 1) % len(d["b"]) for i in range(which.start, which.stop)]
        mel = log_mel(power(heard(sound)))[:, : sound.shape[1] // HOP]
        speaker = torch.cat([d["voice"][others], self.average.reference(log_mel(power(heard(d["shown"][others])))).float()], 1)
        content = self.content(self.average.encoder, mel, mode).float()
        n = content.shape[1]
        pitch = d["pitch"][which, :n]
        pitch = torch.where(pitch > 0, (pitch * 2 ** (torch.rand(len(pitch), 1, device=pitch.device) * 1.2 - 0.6)).clamp(60, 600), pitch)
        harmonic, noise, _ = self.average.decode(content, pitch, energy_of(mel)[:, :n], speaker, self.average.decoder_state(len(mel), mel.device))
        spoken = synthesise(pitch, harmonic, noise)
        return F.pad(spoken, (0, sound.shape[1] - spoken.shape[1]))

    def losses(self, d, mode):
        """The loss of a batch to go down on, the figures of the log, and the log-mels of what was made and of its answers."""
        o, model, ahead = self.o, self.model, lookahead(mode)
        answered = o.pairs + o.selves
        made_part, judged = slice(LEAD, LEAD + MADE), slice(LEAD + SKIP, LEAD + MADE)
        with torch.no_grad():
            if o.reversed:
                which = slice(o.pairs, o.pairs + o.reversed)
                with self.layers():
                    d["a"][which] = self.reversed(d, mode, which)
                d["bend"][which] *= 0.3
            mel = bent_mel(d["a"], d["bend"], d["colour"])[:, : LEAD + MADE + ahead]
            plain = log_mel(power(heard(d["b"])))[:, : LEAD + MADE + ahead]
            energy = energy_of(plain)[:, made_part]
            recorded = d["b"][:, judged.start * HOP : judged.stop * HOP]
            wanted_mel, shown = judged_mel(recorded)[:, : Verifier.FRAMES], log_mel(power(heard(d["shown"])))
            with self.layers():
                said = self.content(self.first, plain, mode).float()[:, made_part]
                theirs = self.average.reference(shown).float()
        pitch = d["pitch"][:, made_part]
        with self.layers():
            content = self.content(model.encoder, mel, mode)[:, made_part]
            blurred = content + o.blur * torch.randn_like(content)
            timbre = model.reference(shown) * (torch.rand(len(mel), 1, device=o.device) > UNSHOWN)
            harmonic, noise, _ = model.decode(blurred, pitch, energy, torch.cat([d["voice"], timbre.float()], 1), model.decoder_state(len(mel), o.device))
        whole = synthesise(pitch * (pitch > 40), harmonic, noise)
        made = whole[:, SKIP * HOP :]
        made_mel = judged_mel(made)[:, : Verifier.FRAMES]
        stft = spectral_loss(made[:answered], recorded[:answered])
        unvoiced = ((pitch == 0) & (energy > -6)).float()[:answered, SKIP:]
        mel_loss = ((made_mel[:answered] - wanted_mel[:answered]).abs().mean(-1) * (1 + 0.7 * unvoiced)).mean()
        speech = (energy > -7).float()[:, SKIP:]
        with self.layers():
            close = (self.verifier(self.verifier.features(made * d["gain"].unsqueeze(1))[:, : Verifier.FRAMES]).float() * d["wanted"]).sum(-1)
            again = self.content(self.first, log_mel(power(heard(whole)))[:, :MADE], mode)[:, SKIP:].float()
            where = speech[:, : again.shape[1]]
            apart = ((again - said[:, SKIP : SKIP + again.shape[1]]).square().mean(-1) * where).sum() / where.sum().clamp(min=1)
            anchor = (content.float() - said).square().mean()
            echo = F.mse_loss(self.average.reference(log_mel(power(heard(made)))).float(), theirs) / (theirs.var(0).mean() + 1e-3)
            with torch.no_grad():
                meaning = self.listener(recorded[o.pairs :]).float()
            pairs_of_frames = speech[o.pairs :].unflatten(1, (-1, 2)).amax(-1)
            heard_apart = 1 - F.cosine_similarity(self.listener(made[o.pairs :]).float(), meaning, dim=-1)
            recogniser = (heard_apart * pairs_of_frames).sum() / pairs_of_frames.sum().clamp(min=1)
        voice = (1 - close[:answered]).mean()
        stranger = (1 - close[answered:]).mean() if o.strangers else torch.zeros((), device=o.device)
        loss = stft + 0.5 * mel_loss + o.voice * (voice + o.strangers / max(1, answered) * stranger) + o.content * apart + o.anchor * anchor + o.echo * echo + o.recogniser * recogniser
        return loss, (stft, mel_loss, 1 - voice, 1 - stranger, apart, anchor, echo, recogniser), made_mel, wanted_mel[:answered]

    def train_step(self):
        o, rate = self.o, falling(self.o, self.step, self.spent)
        mode = self.data.draw.choices(MODES, [MODE_SHARE[m] for m in MODES])[0]
        batch = self.data.batch(["pair"] * o.pairs + ["self"] * o.selves + ["stranger"] * o.strangers, o.device)
        loss, figures, made, recorded = self.losses(batch, mode)
        generator = discriminator = torch.zeros(())
        if o.adversary:
            with self.layers():
                discriminator = self.adversary.told(made, recorded)
            down(self.other, discriminator, list(self.adversary.parameters()), rate)
            self.adversary.requires_grad_(False)
            with self.layers():
                generator, match = self.adversary.fooled(made, recorded, len(recorded))
            self.adversary.requires_grad_(True)
            loss = loss + o.adversary * (generator + 4 * match)
        down(self.optimiser, loss, self.weights, rate)
        self.step += 1
        with torch.no_grad():
            keep = min(0.998, self.step / (self.step + 20))
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
        return rate, [float(x.detach()) for x in (*figures, generator, discriminator)]


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
    o.run.mkdir(parents=True, exist_ok=True)
    run = Run(o)
    train(run, o, FIELDS, 25)
    print(f"{run.step} steps, {run.spent:.0f} s", flush=True)


if __name__ == "__main__":
    main()
