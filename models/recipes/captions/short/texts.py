#!/usr/bin/env python3
"""texts.py CACHE TEXTS.json MODEL SPEAKER ...: what faster-whisper (tiny.en) hears in the recordings of these speakers of a corpus, which have no text.

Distillation compares two encoders on a text; a word that is wrong in it is as wrong for both.
"""

import json
import pathlib
import sys

from faster_whisper import WhisperModel

from data import Data


def main():
    cache, out, wanted = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), set(sys.argv[4:])
    model, index = WhisperModel(sys.argv[3], device="cpu", compute_type="int8", cpu_threads=1), json.loads((cache / "index.json").read_text())
    names = {v: k for k, v in index["real_speakers"].items()}
    reader, texts = Data(cache, None, None, 0), {}
    for r in index["recordings"]:
        if names.get(r["speaker"]) in wanted:
            said, _ = model.transcribe(reader.read(r), beam_size=1, language="en", without_timestamps=True)
            texts[str(r["hop"])] = " ".join(s.text.strip() for s in said)
    out.write_text(json.dumps(texts, indent=1))
    print(f"{len(texts)} texts")


if __name__ == "__main__":
    main()
