"""The folder of arrays that features.py writes and stage 1 reads: shards of recordings. Needs NumPy alone, so that it can be read where no sound can.

A shard CACHE/NNN holds, all recordings one after the other:
  mel.f16      [frames, 80] log-mels
  phones.i16   [frames] the renderer's symbols, 0 silence, -1 not known
  ids.i16      [frames / 2] clusters of the first teacher's features
  TEACHER.f16  [frames / 2, numbers] the teachers' features; a bundle (bundle.py) leaves them out
  index.json   recordings in order: at, frames, speaker, lang, test, real, file
"""

import json

import numpy as np

from modes import MELS

TEACHERS = {"whisper": 128, "hama": 96}  # numbers kept of each teacher's features
CLUSTERS = 500


def shards(cache):
    """The whole shards of a cache, in order."""
    return sorted(p for p in cache.iterdir() if (p / "index.json").exists())


def index(shard):
    return json.loads((shard / "index.json").read_text())


def arrays(shard):
    """{name: array} of a shard, mapped."""
    held = {"mel": np.memmap(shard / "mel.f16", np.float16, "r").reshape(-1, MELS)}
    held |= {"phones": np.memmap(shard / "phones.i16", np.int16, "r"), "ids": np.memmap(shard / "ids.i16", np.int16, "r")}
    for name, numbers in TEACHERS.items():
        if (shard / f"{name}.f16").exists():
            held[name] = np.memmap(shard / f"{name}.f16", np.float16, "r").reshape(-1, numbers)
    return held
