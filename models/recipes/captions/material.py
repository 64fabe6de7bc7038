"""The recordings as files and their words as aligned times, in the work folder. Knows no recogniser.

`python material.py` writes them and the ten-minute programme (16 and 48 kHz, and what lies where) for soaks by hand, and says where.
"""

import pathlib
from dataclasses import dataclass

import numpy as np

import align
import cases
import fetch
import sounds


@dataclass
class Item:
    """One recording, ready."""

    recording: cases.Recording
    file: pathlib.Path
    sound: np.ndarray
    text: str
    spoken: list[align.Spoken]  # empty where no transcript is known

    @property
    def name(self):
        return self.recording.name

    @property
    def seconds(self):
        return len(self.sound) / sounds.RATE


def items(work=fetch.WORK):
    """All recordings: 16 kHz files in WORK/recordings, the same for everyone."""
    out = []
    for r in cases.recordings(work):
        folder = fetch.package(r.package, work)
        parts = [sounds.read(folder / p) for p in r.parts]
        sound, starts = sounds.joined(parts, r.pause)
        spoken = []
        if r.transcript != cases.NONE:
            spoken = [w for part, text, at in zip(parts, r.texts, starts) for w in align.shifted(align.align(part, text), at)]
        file = sounds.write(work / "recordings" / f"{r.name}.wav", sound)
        out.append(Item(r, file, sounds.read(file), " ".join(r.texts).strip(), spoken))
    return out


if __name__ == "__main__":
    for item in items():
        print(f"{item.file}: {item.seconds:.1f} s, {len(item.spoken)} words")
    print(sounds.write_programme(fetch.WORK / "programme", {i.name: i.sound for i in items()}).parent)
