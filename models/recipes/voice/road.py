#!/usr/bin/env python3
"""road.py WORK [--recordings FOLDER ...] [--render-minutes 60] [--hours 2] [--device cuda]: the whole road to a voice pack, each step once.

material.py → render.py → corpus.py → train.py → export.py → evaluate.py; what is done already in WORK is left alone, so the same command goes on after a stop.
--recordings takes any folder FOLDER/SPEAKER/**/*.{wav,flac,ogg,opus,mp3}, as LibriTTS (train-clean-100) and VCTK (wav48_silence_trimmed) are laid out.
Knows only the other scripts' names and options.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
HELD_OUT = ["klettres/de", "klettres/it", "ktuberling/de", "ktuberling/it"]  # real speakers of the evaluation
GPU = ["--pairs", "40", "--selves", "24", "--reversed", "12", "--strangers", "16", "--rate", "1e-3"]  # a fuller batch where there is a GPU


def step(script, *options):
    print("·", script, *options, flush=True)
    done = subprocess.run([sys.executable, str(HERE / script), *map(str, options)], check=False)
    if done.returncode:
        raise SystemExit(f"{script} failed; what it says is above. The same command goes on from there.")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("work", type=pathlib.Path)
    a.add_argument("--recordings", type=pathlib.Path, action="append", default=[], help="more real recordings, laid out by speaker")
    a.add_argument("--render-minutes", type=float, default=60, help="time to render speech for; 0 for none")
    a.add_argument("--hours", type=float, default=2, help="time to train for")
    a.add_argument("--start", type=pathlib.Path, default=HERE / "rounds" / "voice.npz", help="weights to go on from: an export's, or those of graft.py")
    a.add_argument("--device", default="cpu")
    a.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) // 2))
    o = a.parse_args()
    step("material.py", o.work)
    rendered, cache, run, pack = (o.work / n for n in ("rendered", "cache", "run", "pack"))
    if o.render_minutes and not (rendered / "speakers.json").exists():
        step("render.py", o.work / "kokoro", rendered, "--minutes", o.render_minutes, "--processes", o.threads)
    verifier = ["--verifier", o.work / "judges" / "pretrained.pt"]
    if not (cache / "index.json").exists():
        corpora = ["--corpus", rendered] if rendered.exists() else []
        real = [x for folder in (*sorted((o.work / "real").iterdir()), *sorted((o.work / "speech").iterdir()), *o.recordings) for x in ("--recordings", folder)]
        step("corpus.py", cache, *corpora, *real, *(x for who in HELD_OUT for x in ("--hold-out", who)), *verifier)
        step("corpus.py", cache, "--score", o.start)
    shape = GPU if o.device.startswith("cuda") else []
    step("train.py", cache, run, *verifier, "--listener", o.work / "judges" / "listener.bin", "--start", o.start, "--seconds", o.hours * 3600, "--device", o.device, "--threads", o.threads, *shape)
    step("export.py", run / "checkpoint.pt", pack, "--weights", o.work / "weights.npz")
    step("plot.py", run / "log.csv", o.work / "curve.svg")
    step("evaluate.py", "--pack", f"new={pack}", "--cache", cache, "--out", o.work / "table")


if __name__ == "__main__":
    main()
