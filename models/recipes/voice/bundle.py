#!/usr/bin/env python3
"""bundle.py CACHE RUN OUT [--megabytes 60]: what a GPU at hand for ten minutes needs to go on with stage 1, in one folder without sound, packages or paths.

    python bundle.py CACHE RUN OUT                                   # here
    python OUT/bundle.py --unpack OUT && python OUT/train_encoder.py OUT/cache OUT/run --start OUT/encoder.npz --device cuda --seconds 480 --batch 160 --rate 2e-3

The second line runs anywhere with PyTorch and NumPy; OUT/run/encoder.npz (10 MB) comes back. OUT holds the scripts, the newest averaged weights and as much of the cache as fits, held-out recordings
first, then rendered and real ones in turns: log-mels in steps of STEP nats, differenced over time and frequency and packed by LZMA (3.3 KB a second of sound), phones and clusters; the teachers'
features are left out, so their losses are too.
"""

import argparse
import json
import lzma
import pathlib
import shutil

import numpy as np

import cache

STEP, BOTTOM = 0.2, -11.6  # nats
SCRIPTS = ("bundle.py", "cache.py", "disturb.py", "encoder.py", "layers.py", "modes.py", "phone_error.py", "precision.py", "running.py", "train_encoder.py")
HERE = pathlib.Path(__file__).parent


def packed(mel):
    codes = np.clip(np.round((mel.astype(np.float32) - BOTTOM) / STEP), 0, 255).astype(np.int16)
    return lzma.compress(np.diff(np.diff(codes, axis=1, prepend=0), axis=0, prepend=0).astype(np.int8).tobytes(), preset=6)


def unpacked(data):
    steps = np.frombuffer(lzma.decompress(data), np.int8).reshape(-1, cache.MELS)
    codes = np.cumsum(np.cumsum(steps, 0, dtype=np.int64), 1).astype(np.uint8)  # differences wrapped at 8 bits add up to the code again
    return (codes.astype(np.float32) * STEP + BOTTOM).astype(np.float16)


def in_turns(recordings):
    """Held-out recordings, then one rendered, one real and so on."""
    rendered, real = ([r for r in recordings if not r["test"] and r["real"] == kind] for kind in (False, True))
    turns = [x for pair in zip(rendered, real) for x in pair]
    longer = rendered if len(rendered) > len(real) else real
    return [r for r in recordings if r["test"]] + turns + longer[len(turns) // 2 :]


def pack(o):
    o.out.mkdir(parents=True, exist_ok=True)
    for name in SCRIPTS:
        shutil.copy(HERE / name, o.out / name)
    shutil.copy(o.run / "encoder.npz", o.out / "encoder.npz")
    spent = sum(p.stat().st_size for p in o.out.iterdir())
    everything, opened = [], []
    for number, shard in enumerate(cache.shards(o.cache)):
        opened.append(cache.arrays(shard))
        everything += [r | {"shard": number} for r in cache.index(shard)]
    index, at, part = [], 0, 0
    waiting, frames = [], 0
    order = in_turns(everything)
    with open(o.out / "mel.xz.parts", "wb") as mels, open(o.out / "phones.i16", "wb") as phones, open(o.out / "ids.i16", "wb") as ids:
        for i, r in enumerate(order):
            held, a, n = opened[r["shard"]], r["at"], r["frames"]
            waiting.append(held["mel"][a : a + n])
            phones.write(held["phones"][a : a + n].tobytes())
            ids.write(held["ids"][a // 2 : (a + n) // 2].tobytes())
            index.append({k: v for k, v in r.items() if k != "shard"} | {"at": at})
            at, frames, spent = at + n, frames + n, spent + 3 * n
            if frames > 60000 or i == len(order) - 1:  # ten minutes a part
                data = packed(np.concatenate(waiting))
                mels.write(len(data).to_bytes(4, "little") + data)
                spent, waiting, frames, part = spent + len(data) + 4, [], 0, part + 1
                if spent > (o.megabytes - 2.5) * 1e6:
                    break
    (o.out / "index.json").write_text(json.dumps(index))
    print(f"{at / 360000:.2f} hours in {sum(p.stat().st_size for p in o.out.rglob('*') if p.is_file()) / 1e6:.1f} MB: {o.out}")


def unpack(folder):
    shard = folder / "cache" / "000"
    shard.mkdir(parents=True, exist_ok=True)
    with open(folder / "mel.xz.parts", "rb") as parts, open(shard / "mel.f16", "wb") as mel:
        while size := parts.read(4):
            mel.write(unpacked(parts.read(int.from_bytes(size, "little"))).tobytes())
    for name in ("phones.i16", "ids.i16", "index.json"):
        shutil.copy(folder / name, shard / name)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cache", type=pathlib.Path, nargs="?")
    a.add_argument("run", type=pathlib.Path, nargs="?")
    a.add_argument("out", type=pathlib.Path, nargs="?")
    a.add_argument("--megabytes", type=float, default=60)
    a.add_argument("--unpack", type=pathlib.Path, metavar="OUT")
    o = a.parse_args()
    if o.unpack:
        unpack(o.unpack)
    elif o.out:
        pack(o)
    else:
        a.error("CACHE, RUN and OUT, or --unpack OUT, are needed")


if __name__ == "__main__":
    main()
