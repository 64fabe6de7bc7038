"""A voice pack as a converter of whole sounds, in NumPy and ONNX Runtime: features, graph and synthesis as the plugin has them, without gate and leveller.

Knows neither PyTorch nor what is measured on the result. The definition of every step is model.py; the product's own code is Rust.
"""

import hashlib
import pathlib

import librosa
import numpy as np
import onnxruntime

RATE, HOP, FFT, MELS = 24000, 240, 1024, 80
RISE, FALL = 720, 240
WINDOW = RISE + FALL
MODES = ("live", "balanced", "studio")
CALL = 100  # frames a call of the graph; any other number gives the same to 1e-4 (export.py checks that)
SHOWN = 20  # seconds of a reference that the timbre is taken from

hann = lambda n: 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
HEARING = np.concatenate([hann(2 * RISE)[:RISE], hann(2 * FALL)[FALL:]])
MEL = librosa.filters.mel(sr=RATE, n_fft=FFT, n_mels=MELS, fmin=40, fmax=11500)


def spectra(sound):
    """Complex spectra [frames, 513] under the analysis window, whose peak lies on sample t * HOP of frame t."""
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(sound, (RISE, FALL)), WINDOW)[::HOP]
    return np.fft.rfft(framed * HEARING, FFT)


def log_mel(sound):
    """[frames, 80]."""
    return np.log(np.abs(spectra(sound)) ** 2 @ MEL.T + 1e-5).astype(np.float32)


def energy_of(mel):
    return np.log(np.exp(mel).mean(-1) + 1e-4).astype(np.float32)


def excitation(f0, seed=0):
    """Band-limited pulse train and white noise of len(f0) * HOP samples, both 0.3 in scale; the pulse is silent where f0 is 0."""
    n = len(f0)
    at = (np.arange(n * HOP) + 0.5) / HOP - 0.5
    hertz = np.interp(at, np.arange(n), np.where(f0 > 0, f0, 1.0))
    phase = np.cumsum(hertz / RATE) % 1.0
    pulse = np.sinc(np.where(phase > 0.5, phase - 1, phase) * RATE / np.maximum(hertz, 1))
    pulse *= np.repeat(f0 > 0, HOP) * np.sqrt(RATE / np.maximum(hertz, 40)) * 0.3
    return pulse, np.random.default_rng(seed).standard_normal(n * HOP) * 0.3


def minimum_phase(magnitudes):
    """Complex spectrum of the causal filter with these magnitudes (folded cepstrum)."""
    cepstrum = np.fft.irfft(np.log(np.maximum(magnitudes, 1e-6)), FFT)
    fold = np.zeros(FFT)
    fold[0], fold[1 : FFT // 2], fold[FFT // 2] = 1, 2, 1
    return np.exp(np.fft.rfft(cepstrum * fold))


def synthesise(f0, harmonic, noise):
    """Sound of len(f0) * HOP samples: pieces of each excitation under hann windows two hops long, through their frame's causal filter."""
    n, window = len(f0), hann(2 * HOP)
    cut = lambda x: np.fft.rfft(np.lib.stride_tricks.sliding_window_view(np.pad(x, HOP), 2 * HOP)[::HOP][:n] * window, FFT)
    pulse, hiss = excitation(f0)
    pieces = np.fft.irfft(cut(pulse) * minimum_phase(harmonic) + cut(hiss) * minimum_phase(noise), FFT)
    whole = np.zeros((n + 1) * HOP + FFT)
    for t in range(n):
        whole[t * HOP : t * HOP + FFT] += pieces[t]
    return whole[HOP : HOP + n * HOP].astype(np.float32)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class Pack:
    """A pack's folder: up to three graphs over one file of weights, and the graph that reads the timbre from a reference."""

    def __init__(self, folder):
        folder = pathlib.Path(folder)
        self.graphs = {m: session(folder / f"voice.{m}.onnx") for m in MODES if (folder / f"voice.{m}.onnx").exists()}
        if not self.graphs:
            raise FileNotFoundError(f"{folder} holds no voice.MODE.onnx")
        self.behind = {m: int(g.get_modelmeta().custom_metadata_map["lookahead_frames"]) for m, g in self.graphs.items()}
        self.reference = session(folder / "reference.onnx")
        # Packs of before have graphs that take the speaker in each run.
        modulation = folder / "voice.modulation.onnx"
        self.modulation = session(modulation) if modulation.exists() else None
        weights = next(n for n in ("voice.safetensors", "voice.weights") if (folder / n).exists())
        files = [folder / n for n in (weights, "reference.onnx", *(f"voice.{m}.onnx" for m in self.graphs))]
        self.hash = hashlib.sha256(b"".join(hashlib.sha256(f.read_bytes()).digest() for f in files)).hexdigest()

    def speaker(self, vector, reference):
        """What the graph is told of a voice: the verifier's unit vector [256], then the timbre of the reference sound [128]."""
        (timbre,) = self.reference.run(None, {"mel": log_mel(reference[: SHOWN * RATE])[None]})
        return np.concatenate([vector, timbre[0]]).astype(np.float32)

    def told(self, speaker):
        """The voice as the graphs take it."""
        if self.modulation is None:
            return {"speaker": speaker[None]}
        return {"modulation": self.modulation.run(None, {"speaker": speaker[None]})[0]}

    def filters(self, mode, mel, f0, speaker):
        """Magnitudes [frames, 513] twice for whole features; `f0` in Hz a frame as it shall be spoken."""
        graph, behind = self.graphs[mode], self.behind[mode]
        n = min(len(mel), len(f0))
        late = lambda x, first: np.concatenate([np.full(behind, first, np.float32), x[:n].astype(np.float32)])[None]
        ahead = np.concatenate([mel[:n], np.repeat(mel[n - 1 : n], behind, 0)])[None]
        f0, energy = late(f0, 0), late(energy_of(mel), energy_of(np.full((1, MELS), np.log(1e-5)))[0])
        state = {i.name: np.zeros(i.shape, np.float32) for i in graph.get_inputs() if i.name.startswith("state_")}
        parts, told = [], self.told(speaker)
        for t in range(0, n + behind, CALL):
            fed = {"mel": ahead[:, t : t + CALL], "f0": f0[:, t : t + CALL], "energy": energy[:, t : t + CALL]}
            *made, = graph.run(None, {**fed, **told, **state})
            parts.append(made[:2])
            state = dict(zip(state, made[2:]))
        return [np.concatenate([p[i] for p in parts], 1)[0, behind:] for i in range(2)]

    def convert(self, sound, f0, speaker, mode):
        """24 kHz sound in another voice, as long as the shorter of `sound` and `f0`."""
        mel = log_mel(sound)
        harmonic, noise = self.filters(mode, mel, f0, speaker)
        return synthesise(f0[: len(harmonic)], harmonic, noise)
