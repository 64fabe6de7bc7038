"""A picture of a case: spectrograms of source, reference and what was made of them, one above the other. Knows nothing of how they came about."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from converter import HOP, RATE, hann

WINDOW, FFT = 960, 2048


def spectrogram(sound):
    """dB [513 or more bins, frames]; a symmetric window, so that before and after look alike."""
    framed = np.lib.stride_tricks.sliding_window_view(np.pad(sound, WINDOW // 2), WINDOW)[::HOP]
    return 20 * np.log10(np.abs(np.fft.rfft(framed * hann(WINDOW), FFT)).T + 1e-4)


def draw(path, sounds, pitch=None):
    """Writes `path` (.png): `sounds` {label: 24 kHz sound}; `pitch` {label: Hz a hop}, drawn as a line where given."""
    longest = max(len(s) for s in sounds.values()) / RATE
    figure, axes = plt.subplots(len(sounds), 1, figsize=(10, 1.9 * len(sounds)), sharex=True, squeeze=False, layout="constrained")
    for axis, (label, sound) in zip(axes[:, 0], sounds.items()):
        db = spectrogram(sound)
        axis.imshow(db, origin="lower", aspect="auto", cmap="magma", vmin=db.max() - 80, vmax=db.max(), extent=(0, len(sound) / RATE, 0, RATE / 2000))
        f0 = (pitch or {}).get(label)
        if f0 is not None:
            line = axis.twinx()  # its own scale: among 12 kHz a voice's pitch is a line at the very bottom
            line.plot(np.arange(len(f0)) * HOP / RATE, np.where(f0 > 0, f0, np.nan), color="cyan", linewidth=1)
            line.set(ylim=(0, 600), ylabel="F0, Hz")
        axis.set(ylabel="kHz", xlim=(0, longest), ylim=(0, RATE / 2000))
        axis.set_title(label, fontsize=8, loc="left")
    axes[-1, 0].set_xticks(np.arange(0, longest, 1))
    axes[-1, 0].set_xlabel("s")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})
    plt.close(figure)
