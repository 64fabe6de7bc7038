#!/usr/bin/env python3
"""openvoice.py: graphs of OpenVoice v2's community exports with random weights, and what they make of a whole sound at once.

Writes tests/data/converters/openvoice/: `encoder.onnx` (a spectrogram by frames to a tone of 256 numbers), two converters (a spectrogram by bins, its
length, two tones and tau to a sound and four by-products) of other names and other sizes inside, of which the second draws a little noise by itself as
OpenVoice's does, and `NAME.f32`: the sound that ONNX Runtime gives for tests/golden/reference.flac taken as if it were at 22,050 Hz, in one run over all of
it, every KEPT-th sample; `tone.f32`: the tone of the first ten seconds or less of it; `source.f32` and `target.f32`: the tones that were given. The
spectrogram is OpenVoice's own, by PyTorch. The graphs see a few frames around each, so windows can be as good as the whole.

With `--contexts` it writes nothing: a stack of convolutions with the reach of OpenVoice's (posterior encoder of 16 layers, four couplings of four, and a
decoder; 109 frames to either side) with random weights is run in windows of so many frames of context, and the error against the whole is printed.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 soundfile==0.14.0 torch==2.15.0
"""
import shutil
import sys

import numpy as np
import soundfile as sf
import torch
from graphs import F32, I64, ROOT, Graph

OUT = ROOT / "tests" / "data" / "converters" / "openvoice"
BINS, HOP, WINDOW, TONE = 513, 256, 1024, 256
SECONDS, KEPT = 2.0, 11


def sound():
    samples, _ = sf.read(ROOT / "tests" / "golden" / "reference.flac", dtype="float32")
    return samples


def spectrogram(samples):
    """[513, frames], as openvoice/mel_processing.py has it."""
    padded = torch.nn.functional.pad(torch.from_numpy(samples)[None, None], ((WINDOW - HOP) // 2,) * 2, mode="reflect")[0, 0]
    bins = torch.stft(padded, WINDOW, HOP, WINDOW, torch.hann_window(WINDOW), center=False, return_complex=True)
    return torch.sqrt(bins.real ** 2 + bins.imag ** 2 + 1e-6).numpy()


def encoder(path):
    g = Graph(5)
    x = g.input("input", F32, [1, "T", BINS])
    rows = g.node("Tanh", g.node("MatMul", g.node("Log", g.node("Add", x, g.weight(np.float32(0.01)))), g.normal(BINS, 8, scale=0.05)))
    g.node("MatMul", g.node("ReduceMean", rows, axes=[1], keepdims=0), g.normal(8, TONE, scale=0.5), name="tone_embedding")
    g.output("tone_embedding", F32, [1, TONE])
    g.save(path, {})


def converter(path, seed, names, width, kernel, draws):
    g = Graph(seed)
    spectrum, length = g.input(names[0], F32, [1, BINS, "T"]), g.input(names[1], I64, [1])
    source, target, tau = g.input(names[2], F32, [1, TONE, 1]), g.input(names[3], F32, [1, TONE, 1]), g.input(names[4], F32, [1])
    quiet = g.node("Log", g.node("Add", spectrum, g.weight(np.float32(0.01))))
    body = g.node("Conv", quiet, g.normal(width, BINS, 3, scale=0.025), pads=[1, 1])
    for tone in (source, target):
        body = g.node("Add", body, g.node("Conv", tone, g.normal(width, TONE, 1, scale=0.06)))
    body = g.node("Tanh", g.node("Mul", body, g.node("Add", tau, g.weight(np.float32(0.5)))))
    if draws:
        body = g.node("Add", body, g.node("Mul", g.node("RandomNormalLike", body), g.node("Mul", tau, g.weight(np.float32(1e-4)))))
    count = g.node("Gather", g.node("Shape", spectrum), g.weight(np.int64(2)))
    inside = g.node("Less", g.node("Range", g.weight(np.int64(0)), count, g.weight(np.int64(1))), length)
    mask = g.node("Unsqueeze", g.node("Cast", inside, to=F32), g.weight(np.array([0, 1], np.int64)), name="mask")
    latent = g.node("Mul", body, mask, name="z")
    body = g.node("Tanh", g.node("Conv", latent, g.normal(width, width, kernel, scale=0.4), pads=[kernel // 2, kernel // 2]), name="z_p")
    wave = g.node("ConvTranspose", body, g.normal(width, 1, 2 * HOP, scale=0.2), strides=[HOP], pads=[HOP // 2, HOP // 2])
    g.node("Tanh", wave, name=names[5])
    g.node("Identity", body, name="z_hat")
    g.output(names[5], F32, [1, 1, "L"])
    for name, rows in (("mask", 1), ("z", width), ("z_p", width), ("z_hat", width)):
        g.output(name, F32, [1, rows, "T"])
    g.save(path, {})


CONVERTERS = {
    "converter-1": dict(seed=50, names=["audio", "audio_length", "src_tone", "dest_tone", "tau", "converted_audio"], width=8, kernel=5, draws=False),
    "converter-2": dict(seed=60, names=["y", "y_lengths", "sid_src", "sid_tgt", "temperature", "o_hat"], width=12, kernel=9, draws=True),
}


def write():
    import onnxruntime as ort
    run = lambda name, values: (lambda s: s.run(None, dict(zip([i.name for i in s.get_inputs()], values))))(ort.InferenceSession(str(OUT / f"{name}.onnx")))
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    encoder(OUT / "encoder.onnx")
    spectrum, random = spectrogram(sound()), np.random.default_rng(7)
    tone = run("encoder", [spectrum.T[None]])[0].reshape(TONE)
    tones = {"source": tone + random.standard_normal(TONE).astype(np.float32) * 0.3, "target": random.standard_normal(TONE).astype(np.float32) * 0.5}
    for name, numbers in {"tone": tone, **tones}.items():
        numbers.astype(np.float32).tofile(OUT / f"{name}.f32")
    spectrum[:, ::40].T.astype(np.float32).tofile(OUT / "spectrogram.f32")
    given = [np.array([spectrum.shape[1]], np.int64), *(t[None, :, None].astype(np.float32) for t in tones.values()), np.array([0.3], np.float32)]
    for name, c in CONVERTERS.items():
        converter(OUT / f"{name}.onnx", **c)
        wave = run(name, [spectrum[None], *given])[0].reshape(-1)[:int(SECONDS * 22050)]
        assert np.sqrt((wave ** 2).mean()) > 0.02, name
        wave[::KEPT].astype(np.float32).tofile(OUT / f"{name}.f32")
        print(f"{name}: rms {np.sqrt((wave ** 2).mean()):.3f}")
    print(f"{sum(f.stat().st_size for f in OUT.iterdir()) / 1e3:.0f} kB")


class Layers(torch.nn.Module):
    """WaveNet's gated layers as in VITS: kernel 5, no dilation, skip and residual."""

    def __init__(self, channels, layers):
        super().__init__()
        conv = lambda i, o, k: torch.nn.Conv1d(i, o, k, padding=k // 2)
        self.inner = torch.nn.ModuleList(conv(channels, 2 * channels, 5) for _ in range(layers))
        self.outer = torch.nn.ModuleList(conv(channels, 2 * channels if i < layers - 1 else channels, 1) for i in range(layers))
        self.channels = channels

    def forward(self, x):
        skip = 0
        for inner, outer in zip(self.inner, self.outer):
            a, b = inner(x).chunk(2, 1)
            y = outer(torch.tanh(a) * torch.sigmoid(b))
            if y.shape[1] == 2 * self.channels:
                x, skip = x + y[:, :self.channels], skip + y[:, self.channels:]
            else:
                skip = skip + y
        return skip


class Converter(torch.nn.Module):
    """As far as OpenVoice's reaches, a quarter as wide: posterior, couplings there and back, HiFi-GAN's decoder of strides 8, 8, 2, 2."""

    def __init__(self, channels=48, wide=128):
        super().__init__()
        conv = lambda i, o, k, d=1: torch.nn.Conv1d(i, o, k, padding=d * (k // 2), dilation=d)
        self.before, self.posterior, self.mean = conv(BINS, channels, 1), Layers(channels, 16), conv(channels, channels, 1)
        half = channels // 2
        self.couplings = torch.nn.ModuleList(torch.nn.ModuleList([conv(half, channels, 1), Layers(channels, 4), conv(channels, half, 1)]) for _ in range(8))
        self.first, self.last = conv(channels, wide, 7), conv(wide // 16, 1, 7)
        self.ups, self.blocks = torch.nn.ModuleList(), torch.nn.ModuleList()
        for i, (stride, kernel) in enumerate(((8, 16), (8, 16), (2, 4), (2, 4))):
            width = wide // 2 ** (i + 1)
            self.ups.append(torch.nn.ConvTranspose1d(2 * width, width, kernel, stride, padding=(kernel - stride) // 2))
            self.blocks.append(torch.nn.ModuleList(torch.nn.ModuleList([conv(width, width, k, d), conv(width, width, k)]) for k in (3, 7, 11) for d in (1, 3, 5)))

    def forward(self, x):
        z = self.mean(self.posterior(self.before(x)))
        for before, layers, after in self.couplings:
            a, b = z.chunk(2, 1)
            z = torch.cat([b + after(layers(before(a))), a], 1)
        x = self.first(z)
        relu = torch.nn.functional.leaky_relu
        for up, pairs in zip(self.ups, self.blocks):
            x = up(relu(x, 0.1))
            total = 0
            for kind in range(3):
                y = x
                for one, two in pairs[3 * kind:3 * kind + 3]:
                    y = y + two(relu(one(relu(y, 0.1)), 0.1))
                total = total + y
            x = total / 3
        return torch.tanh(self.last(relu(x)))


@torch.no_grad()
def contexts():
    spectrum = torch.log(torch.from_numpy(spectrogram(sound())[:, :300])[None] + 0.01)
    for name, gain in (("PyTorch's own weights, which fade from layer to layer", None), ("weights that keep a signal as loud as it is", 1.0), ("louder ones", 1.5)):
        torch.manual_seed(3)
        model = Converter().eval()
        for layer in model.modules():
            if gain and isinstance(layer, torch.nn.Conv1d):
                torch.nn.init.normal_(layer.weight, std=gain * (layer.in_channels * layer.kernel_size[0]) ** -0.5)
        whole = model(spectrum)[0, 0]
        print(name)
        for before, behind in ((109, 6), (109, 12), (109, 16), (109, 20), (109, 24), (109, 32), (109, 64), (32, 109), (64, 109)):
            error = power = 0.0
            for start in range(120, 168, 16):
                window = model(spectrum[:, :, start - before:start + 8 + behind])[0, 0][before * HOP:(before + 8) * HOP]
                there = whole[start * HOP:(start + 8) * HOP]
                error, power = error + (window - there).pow(2).sum(), power + (there - there.mean()).pow(2).sum()
            print(f"  {before} frames before, {behind} behind: the error is {10 * torch.log10(power / error):.1f} dB below the whole", flush=True)


if "--contexts" in sys.argv:
    contexts()
else:
    write()
