#!/usr/bin/env python3
"""corpus.py: turn recordings into one folder of memory-mapped arrays that training reads at random.

    corpus.py CACHE --verifier pretrained.pt [--corpus FOLDER_OR_TARS ...] [--recordings FOLDER ...] [--hold-out FOLDER/SPEAKER ...]
    corpus.py CACHE --score start.npz

--corpus      a parallel corpus with exact labels, as render.py writes it: meta*.jsonl (or .gz) and *.flac or *.opus (or tars that hold the opus files).
--recordings  FOLDER/SPEAKER/**/*.{wav,flac,ogg,opus,mp3}: recordings labelled by speaker (the layout of LibriTTS and VCTK), as auto-encoding data;
              their pitch is measured with swift-f0, they have no phonemes.

--score       tells of each rendered recording how hard weights find it (graft.py, export.py); training answers with none of the hardest.

In CACHE: index.json (recordings, in order), sound.i16 (24 kHz mono), pitch.f32 (Hz a hop, 0 unvoiced), phones.i16 (a hop, -1 unknown),
windows.f32 ([.., 256] GE2E of each 160-frame window, 77 frames apart). Knows nothing of the model but its rates and the verifier.
"""

import argparse
import gzip
import json
import pathlib
import sys
import tarfile
import tempfile

import librosa
import numpy as np
import soundfile
import torch

from model import HOP, RATE, Verifier
from render import HELD

STEP = 77  # frames from one verifier window to the next: 1.3 windows a second
SOUNDS = {".wav", ".flac", ".ogg", ".opus", ".mp3"}


def labels_per_hop(meta, hops):
    """Pitch and phoneme of each hop, from pitch each 300 samples (below 40: unvoiced) and phonemes with durations of 600 samples."""
    track = np.nan_to_num(np.array(meta["f0_80hz"], np.float32))
    at = np.arange(hops) * HOP / 300  # label i lies at i * 12.5 ms: there the renders' own pitch agrees best
    near = np.clip(np.round(at).astype(int), 0, len(track) - 1)
    pitch = np.where(track[near] > 40, np.clip(np.interp(at, np.arange(len(track)), track), 50, 800), 0)
    spoken = np.repeat(meta["tokens"], meta["durations"])
    return pitch.astype(np.float32), spoken[np.clip(np.arange(hops) * HOP // 600, 0, len(spoken) - 1)].astype(np.int16)


def measured_pitch(sound, hops, tracker):
    """Pitch of each hop by swift-f0, between its confident frames interpolated."""
    found = tracker.detect(librosa.resample(sound, orig_sr=RATE, target_sr=16000), 16000, 60, 500)
    hertz = np.where(found.confidence >= 0.5, found.pitch_hz, 0)
    times = np.arange(hops) * HOP / RATE
    near = np.clip(np.searchsorted(found.timestamps, times), 0, len(hertz) - 1)
    if not (hertz > 0).any():
        return np.zeros(hops, np.float32)
    line = np.interp(times, np.asarray(found.timestamps)[hertz > 0], hertz[hertz > 0])
    return np.where(hertz[near] > 0, line, 0).astype(np.float32)


def parallel(folder):
    """(path, meta) of each labelled recording; tars are unpacked beside the run."""
    folder = pathlib.Path(folder)
    for tar in sorted(folder.glob("*.tar")):
        spot = pathlib.Path(tempfile.mkdtemp())
        with tarfile.open(tar) as t:
            t.extractall(spot, filter="data")
        yield from ((spot / p.name, m) for p, m in lines(folder) if (spot / p.name).exists())
    yield from ((p, m) for p, m in lines(folder) if p.exists())


def lines(folder):
    """(path, meta) of each line of meta*.jsonl or meta*.jsonl.gz; a recording lies there under its name or as .opus."""
    for page in sorted([*folder.glob("meta*.jsonl"), *folder.glob("meta*.jsonl.gz")]):
        with gzip.open(page, "rt", encoding="utf-8") if page.suffix == ".gz" else open(page, encoding="utf-8") as f:
            for line in f:
                meta = json.loads(line)
                path = folder / meta["file"]
                yield path if path.exists() else path.with_suffix(".opus"), meta


def joined(folder, seconds=8.0, most=1200.0):
    """(speaker, sound, narrow) from a folder of speakers: short clips are laid end to end, long silences cut, loudness set to -27 dBFS while speaking.

    `narrow`: the recordings end at 8 kHz or below, so nothing above can be learnt from them. At most `most` seconds of a speaker.
    """
    for speaker in sorted(p for p in pathlib.Path(folder).iterdir() if p.is_dir()):
        held, gathered, narrow, used = [], 0.0, False, 0.0
        for path in sorted(p for p in speaker.rglob("*") if p.suffix.lower() in SOUNDS):
            try:
                sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError:
                print(f"left out, not decodable: {path.name}", file=sys.stderr)
                continue
            narrow = narrow or rate <= 16000
            sound = librosa.resample(sound.mean(1), orig_sr=rate, target_sr=RATE)
            spans = librosa.effects.split(sound, top_db=35, frame_length=960, hop_length=240) if len(sound) and np.abs(sound).max() > 1e-3 else []
            pieces = [sound[max(0, a - 1200) : b + 1200] for a, b in spans]
            if not pieces:
                continue
            piece = np.concatenate(pieces)
            piece *= 10 ** (-27 / 20) / (np.sqrt(np.mean(piece**2)) + 1e-6)
            held.append(piece)
            gathered += len(piece) / RATE
            if gathered >= seconds:
                yield speaker.name, np.concatenate(held)[: int(30 * RATE)], narrow
                used, held, gathered = used + gathered, [], 0.0
                if used > most:
                    break
        if gathered >= 1.7:
            yield speaker.name, np.concatenate(held), narrow


@torch.no_grad()
def windows(sound, verifier):
    """[k, 256] GE2E of each window that the sound covers to three quarters at least, level set to a peak of 0.7, and that peak's gain."""
    gain = 0.7 / max(1e-3, float(np.abs(sound).max()))
    features = verifier.features(torch.tensor(sound * gain)[None])[0]
    starts = [0] + [s for s in range(STEP, len(features), STEP) if len(features) - s >= 0.75 * Verifier.FRAMES]
    padded = torch.nn.functional.pad(features, (0, 0, 0, Verifier.FRAMES))
    return verifier(torch.stack([padded[s : s + Verifier.FRAMES] for s in starts])).numpy(), gain


@torch.no_grad()
def hardness(index, cache, start):
    """Mean distance in log-mel of each labelled recording from what a first model makes of it: odd, hoarse renders stand out. """
    from model import TIMBRE, Voice, energy_of, heard, log_mel, lookahead, power, start_from, synthesise

    model, mode = start_from(Voice(), start).eval(), "balanced"
    ahead = lookahead(mode)
    sound, pitch, vectors = (np.memmap(cache / n, d, "r") for n, d in (("sound.i16", np.int16), ("pitch.f32", np.float32), ("windows.f32", np.float32)))
    for r in index:
        n = min(r["hops"], 160)
        a = r["hop"] + (r["hops"] - n) // 2
        x = torch.tensor(sound[a * HOP : (a + n + ahead) * HOP].astype(np.float32) / 32767)[None]
        x = torch.nn.functional.pad(x, (0, (n + ahead) * HOP - x.shape[1]))
        mel = log_mel(power(heard(x)))[:, : n + ahead]
        speaker = torch.tensor(np.array(vectors[r["window"] * 256 : (r["window"] + r["windows"]) * 256]).reshape(-1, 256)).mean(0, keepdim=True)
        speaker = torch.cat([torch.nn.functional.normalize(speaker, dim=-1), torch.zeros(1, TIMBRE)], 1)
        f0 = torch.tensor(np.array(pitch[a : a + n]))[None]
        content, _ = model.encoder(mel, mode, model.encoder.state(mode))
        h, q, _ = model.decode(content[:, ahead:], f0, energy_of(mel)[:, :n], speaker, model.decoder_state())
        made = log_mel(power(heard(synthesise(f0, h, q))))[:, :n]
        r["hardness"] = round(float((made - mel[:, :n]).abs().mean()), 4)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cache", type=pathlib.Path)
    a.add_argument("--corpus", action="append", default=[])
    a.add_argument("--recordings", action="append", default=[])
    a.add_argument("--hold-out", action="append", default=[], metavar="FOLDER/SPEAKER", help="a speaker of --recordings that no training may see")
    a.add_argument("--verifier", help="Resemblyzer's pretrained.pt")
    a.add_argument("--score", type=pathlib.Path, help="weights that tell how hard each rendered recording of CACHE is")
    o = a.parse_args()
    torch.set_num_threads(1)
    if o.score:
        page = o.cache / "index.json"
        about = json.loads(page.read_text())
        hardness([r for r in about["recordings"] if not r["real"]], o.cache, o.score)
        page.write_text(json.dumps(about))
        return
    o.cache.mkdir(parents=True, exist_ok=True)
    verifier, index, hop, window, speakers = Verifier(o.verifier).eval(), [], 0, 0, {}
    with Arrays(o.cache) as (sounds, pitches, phones, vectors):

        def add(sound, pitch, spoken, **about):
            nonlocal hop, window
            hops = len(sound) // HOP
            embedded, gain = windows(sound, verifier)
            sounds.write((np.clip(sound[: hops * HOP], -1, 1) * 32767).astype(np.int16).tobytes())
            pitches.write(pitch[:hops].tobytes())
            phones.write(spoken[:hops].tobytes())
            vectors.write(embedded.astype(np.float32).tobytes())
            voiced = pitch[pitch > 0]
            about |= {"hop": hop, "hops": hops, "window": window, "windows": len(embedded), "gain": gain, "median": float(np.median(voiced)) if len(voiced) else 0.0}
            index.append(about)
            hop, window = hop + hops, window + len(embedded)
            if len(index) % 100 == 0:
                print(len(index), "recordings,", round(hop * HOP / RATE / 60, 1), "minutes", flush=True)

        kept_out = set()
        for number, folder in enumerate(o.corpus):
            found = list(parallel(folder))
            kept_out |= {m["text"] for _, m in found if m["speaker"] in HELD and m.get("set") == "b"}
            for path, meta in found:
                sound, rate = soundfile.read(path, dtype="float32")
                if rate != RATE or len(sound) < 1.6 * RATE:
                    continue
                pitch, spoken = labels_per_hop(meta, len(sound) // HOP)
                test = meta["speaker"] in HELD or meta["text"] in kept_out
                add(sound, pitch, spoken, speaker=meta["speaker"], group=meta["group"] + number * 10**9, text=meta["text"], lang=meta["lang"], test=test, real=False)
        if o.recordings:
            from swift_f0 import SwiftF0

            tracker = SwiftF0(threads=1, spin=False)
            for folder in o.recordings:
                for name, sound, narrow in joined(folder):
                    label = f"{pathlib.Path(folder).name}/{name}"
                    speaker = speakers.setdefault(label, 10000 + len(speakers))
                    hops = len(sound) // HOP
                    add(sound, measured_pitch(sound, hops, tracker), np.full(hops, -1, np.int16), speaker=speaker, group=-1, test=label in o.hold_out, real=True, narrow=narrow)
    (o.cache / "index.json").write_text(json.dumps({"recordings": index, "real_speakers": speakers}))
    print(len(index), "recordings,", len({r["speaker"] for r in index}), "speakers,", sum(r["test"] for r in index), "held out")


class Arrays:
    """The four arrays, open for writing together."""

    def __init__(self, cache):
        self.paths = [cache / n for n in ("sound.i16", "pitch.f32", "phones.i16", "windows.f32")]

    def __enter__(self):
        self.open = [open(p, "wb") for p in self.paths]
        return self.open

    def __exit__(self, *_):
        for f in self.open:
            f.close()


if __name__ == "__main__":
    main()
