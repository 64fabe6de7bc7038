"""A pack of the first generation (one voice.onnx, hann windows, no timbre) as a converter of whole sounds, so that later packs can be compared with it.

Offers what converter.Pack offers; knows nothing else.
"""

import hashlib
import pathlib

import numpy as np

from converter import CALL, FFT, HOP, MEL, energy_of, excitation, hann, session

WINDOW = 960
MODE = "its one mode"


def spectra(sound):
    """[frames, 513]: frame t is centred on sample t * HOP."""
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(sound, WINDOW // 2), WINDOW)[::HOP]
    return np.fft.rfft(framed * hann(WINDOW), FFT)


class FirstGeneration:
    """The graph holds pitch back by itself and gives it out with the filters, which are without phase."""

    def __init__(self, folder):
        path = pathlib.Path(folder) / "voice.onnx"
        self.graphs = {MODE: session(path)}
        self.behind = int(self.graphs[MODE].get_modelmeta().custom_metadata_map["lookahead_frames"])
        self.hash = hashlib.sha256(path.read_bytes()).hexdigest()

    def speaker(self, vector, _reference):
        return vector.astype(np.float32)

    def convert(self, sound, f0, speaker, mode):
        """24 kHz sound in another voice; `mode` is MODE."""
        graph = self.graphs[mode]
        mel = np.log(np.abs(spectra(sound)) ** 2 @ MEL.T + 1e-5).astype(np.float32)
        n = min(len(mel), len(f0))
        longer = lambda x: np.concatenate([x[:n], np.repeat(x[n - 1 : n], self.behind, 0)])[None].astype(np.float32)
        mel, f0, energy = longer(mel), longer(f0), longer(energy_of(mel))
        state = {i.name: np.zeros(i.shape, np.float32) for i in graph.get_inputs() if i.name.startswith("state_")}
        parts = []
        for t in range(0, mel.shape[1], CALL):
            cut = {"mel": mel[:, t : t + CALL], "f0": f0[:, t : t + CALL], "energy": energy[:, t : t + CALL]}
            *made, = graph.run(None, {**cut, "speaker": speaker[None], **state})
            parts.append(made[:3])
            state = dict(zip(state, made[3:]))
        harmonic, noise, pitch = (np.concatenate([p[i] for p in parts], 1)[0, self.behind :] for i in range(3))
        pulse, hiss = excitation(pitch)
        pieces = np.fft.irfft(spectra(pulse)[:n] * harmonic + spectra(hiss)[:n] * noise, FFT)[:, :WINDOW] * hann(WINDOW)
        whole = np.zeros(n * HOP + WINDOW)
        for t in range(n):
            whole[t * HOP : t * HOP + WINDOW] += pieces[t]
        return (whole[WINDOW // 2 : WINDOW // 2 + n * HOP] / 1.5).astype(np.float32)
