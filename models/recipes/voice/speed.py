#!/usr/bin/env python3
"""speed.py FOLDER ...: how long a call of each graph takes on one core, packs side by side in one run.

Calls of the packs alternate, so that whatever else the machine does falls on all of them. Real-time factor: median call over the sound it makes. Knows no sound.
"""

import pathlib
import sys
import time

import numpy as np

from converter import HOP, MODES, RATE, session

CALLS, HOPS = 400, {"live": 1, "balanced": 2, "studio": 4}  # a call takes as many hops as the product's


def main(folders):
    print("| pack | mode | hops a call | p50 | p99 | real-time factor |\n|---|---|---|---|---|---|")
    for mode in MODES:
        graphs, times = {f: session(pathlib.Path(f) / f"voice.{mode}.onnx") for f in folders}, {f: [] for f in folders}
        draw = np.random.default_rng(0)
        for call in range(CALLS + 20):
            for folder, graph in graphs.items():
                shape = lambda i: [HOPS[mode] if isinstance(d, str) else d for d in i.shape]
                feed = {i.name: draw.standard_normal(shape(i)).astype(np.float32) * 0.1 for i in graph.get_inputs()}
                begun = time.perf_counter()
                graph.run(None, feed)
                if call >= 20:
                    times[folder].append(time.perf_counter() - begun)
        for folder, of in times.items():
            middle, late = np.percentile(of, (50, 99)) * 1e3
            print(f"| {pathlib.Path(folder).name} | {mode} | {HOPS[mode]} | {middle:.2f} ms | {late:.2f} ms | {middle / (HOPS[mode] * HOP / RATE * 1e3):.3f} |")


if __name__ == "__main__":
    main(sys.argv[1:])
