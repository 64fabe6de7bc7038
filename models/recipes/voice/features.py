#!/usr/bin/env python3
"""features.py CACHE WORK [--corpus FOLDER ...] [--recordings FOLDER ...] [--hold-out FOLDER/SPEAKER ...]: what the content encoder learns from, computed once.

WORK is what material.py leaves (teachers). --corpus takes what render.py writes (or tars of it, as corpus.py), --recordings FOLDER/SPEAKER/**/* as corpus.py. A run
adds a shard to the cache (cache.py) with the recordings that no shard has yet, so a corpus may grow beside training:
  log-mels     loud frames at -19 dBFS, as the plugin levels them
  phones       stress marks lie in the sound behind them, length marks in the one before, spaces half on each side, punctuation is silence
  teachers     standardised per channel over speech, then their main directions; clusters of the first one's
CACHE/teachers.npz keeps the statistics, fitted on the first run. The teachers: Whisper tiny.en's encoder (listener.py) and the features in front of the last layers of hama, a small English phone
recogniser (Apache-2.0). Knows no layers.
"""

import argparse
import json
import pathlib

import librosa
import numpy as np
import soundfile
import torch
import torch.nn.functional as F

import cache
from cache import CLUSTERS, TEACHERS
from corpus import joined, parallel
from listener import Listener
from model import HOP, RATE, heard, log_mel, power
from render import HELD, held_out

NOMINAL_DB = -19.0  # of loud frames, as src/voice/mynah/analysis.rs levels
STRESS, LENGTH, SPACE, PUNCTUATION = {156, 157}, {158}, {16}, set(range(1, 16))
FITTED = 3600  # seconds of sound that statistics are fitted on
HAMA_FEATURES = "/acoustic_model/export_attn_layers.1/Add_4_output_0"


def sounding(tokens, durations):
    """[[symbol, samples], ...] of symbols that have a sound of their own, and silence."""
    spans, carried = [], 0
    for token, samples in zip(tokens, (d * 600 for d in durations)):
        if token in STRESS:
            carried += samples
        elif token in LENGTH and spans:
            spans[-1][1] += samples
        elif token in SPACE and spans:
            spans[-1][1] += samples // 2
            carried += samples - samples // 2
        else:
            spans.append([0 if token in PUNCTUATION else token, samples + carried])
            carried = 0
    spans[-1][1] += carried
    return spans


def labels(meta, frames):
    """[frames] symbol at each frame's time."""
    spans = sounding(meta["tokens"], meta["durations"])
    ends = np.cumsum([n for _, n in spans])
    return np.array([s for s, _ in spans], np.int16)[np.clip(np.searchsorted(ends, np.arange(frames) * HOP, side="right"), 0, len(spans) - 1)]


def levelled(sound):
    """Its loud frames at NOMINAL_DB."""
    rms = np.sqrt(np.mean(np.square(librosa.util.frame(np.pad(sound, (0, 960)), frame_length=960, hop_length=HOP)), 0) + 1e-12)
    return sound * 10 ** (NOMINAL_DB / 20) / max(1e-4, np.percentile(rms, 92))


class Teachers:
    """Frozen models that hear whole recordings."""

    def __init__(self, work):
        import onnx
        import onnxruntime

        self.listener = Listener(work / "judges" / "listener.bin").eval()
        graph = onnx.load(work / "phones" / "asr_waveform_fp16.onnx")
        graph.graph.output.append(onnx.helper.make_tensor_value_info(HAMA_FEATURES, onnx.TensorProto.FLOAT16, None))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.hama = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])

    @torch.no_grad()
    def hear(self, sound, frames):
        """{teacher: [frames // 2, ..]} raw features."""
        x = torch.tensor(sound)[None]
        with torch.autocast("cpu", torch.bfloat16, enabled=torch.backends.mkldnn.is_available()):
            whisper = self.listener.raw(x)[0].float().numpy()
        narrow = librosa.resample(sound, orig_sr=RATE, target_sr=16000)
        given = {i.name: None for i in self.hama.get_inputs()}
        for i in self.hama.get_inputs():
            if "len" in i.name:
                given[i.name] = np.array([len(narrow)], np.int64)
            else:
                given[i.name] = narrow[None].astype(np.float16 if "16" in i.type else np.float32)
        hama = self.hama.run([HAMA_FEATURES], given)[0][0].astype(np.float32)
        fit = lambda f: np.pad(f[: frames // 2], ((0, max(0, frames // 2 - len(f))), (0, 0)), mode="edge")
        return {"whisper": fit(whisper), "hama": fit(hama)}


def fitted(heard_all, seed=0):
    """Statistics of raw features: {teacher_mean, _spread, _basis, centres}."""
    held = {}
    for name, keep in TEACHERS.items():
        x = np.concatenate([h[name] for h in heard_all])
        mean, spread = x.mean(0), x.std(0) + 1e-4
        z = torch.tensor((x - mean) / spread)
        _, _, v = torch.pca_lowrank(z, keep, center=False, niter=4)
        held |= {f"{name}_mean": mean, f"{name}_spread": spread, f"{name}_basis": v.numpy()}
        explained = float((z @ v).square().sum() / z.square().sum())
        print(f"{name}: {keep} directions hold {explained:.3f} of the variance of {len(x)} frames", flush=True)
    x = torch.tensor(reduced(held, "whisper", np.concatenate([h["whisper"] for h in heard_all])))
    centres = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[:CLUSTERS]].clone()
    for _ in range(25):
        near = nearest(x, centres)
        sums = torch.zeros_like(centres).index_add_(0, near, x)
        counts = torch.bincount(near, minlength=CLUSTERS).unsqueeze(1)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
    return held | {"centres": centres.numpy()}


def reduced(held, name, x):
    """Features along their main directions, of variance 1 in the mean."""
    z = (x - held[f"{name}_mean"]) / held[f"{name}_spread"] @ held[f"{name}_basis"]
    return (z / np.sqrt(len(held[f"{name}_mean"]) / z.shape[1])).astype(np.float32)


def nearest(x, centres):
    return torch.cat([(part @ centres.T * 2 - centres.square().sum(1)).argmax(1) for part in x.split(8192)])


def rendered(folder, done):
    """(sound, phones, about) of each recording of a corpus that is not `done` and that either is held out or has nothing of what is."""
    held = held_out()
    texts, tests = {r["text"] for r in held}, {(r["text"], r["speaker"], r["prosody"]) for r in held}
    for path, meta in parallel(folder):
        file = f"{pathlib.Path(folder).name}/{pathlib.Path(meta['file']).stem}"
        test = (meta["text"], meta["speaker"], meta["prosody"]) in tests
        if file in done or not path.exists() or (not test and (meta["text"] in texts or meta["speaker"] in HELD or meta["prosody"] in HELD)):
            continue
        sound, rate = soundfile.read(path, dtype="float32")
        if rate != RATE:
            raise SystemExit(f"{path} has {rate} Hz; {RATE} are wanted.")
        yield sound, labels(meta, len(sound) // HOP), {"file": file, "speaker": str(meta["speaker"]), "lang": meta["lang"], "test": test, "real": False}


def real(folder, done, kept_out):
    """The same of a folder of speakers, whose words are not known."""
    count = {}
    for speaker, sound, _ in joined(folder, most=7200):
        count[speaker] = count.get(speaker, -1) + 1
        label = f"{pathlib.Path(folder).name}/{speaker}"
        file = f"{label}/{count[speaker]}"
        if file not in done and label not in kept_out:
            yield sound, np.full(len(sound) // HOP, -1, np.int16), {"file": file, "speaker": label, "lang": "", "test": False, "real": True}


def in_turns(sources):
    """One of each source after the other, so that the first hour has something of all."""
    while sources:
        for source in list(sources):
            try:
                yield next(source)
            except StopIteration:
                sources.remove(source)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("cache", type=pathlib.Path)
    a.add_argument("work", type=pathlib.Path)
    a.add_argument("--corpus", action="append", default=[])
    a.add_argument("--recordings", action="append", default=[])
    a.add_argument("--hold-out", action="append", default=[], metavar="FOLDER/SPEAKER")
    o = a.parse_args()
    torch.set_num_threads(1)
    o.cache.mkdir(parents=True, exist_ok=True)
    shards = cache.shards(o.cache)
    done = {r["file"] for shard in shards for r in cache.index(shard)}
    teachers, index, waiting, at, seconds = Teachers(o.work), [], [], 0, 0.0
    statistics = dict(np.load(o.cache / "teachers.npz")) if (o.cache / "teachers.npz").exists() else None
    half = o.cache / "part"
    half.mkdir(exist_ok=True)
    names = ["mel.f16", "phones.i16", "ids.i16", *(f"{n}.f16" for n in TEACHERS)]
    arrays = {n: open(half / n, "wb") for n in names}

    def write(known):
        for name in TEACHERS:
            z = reduced(statistics, name, known[name])
            arrays[f"{name}.f16"].write(z.astype(np.float16).tobytes())
            if name == "whisper":
                arrays["ids.i16"].write(nearest(torch.tensor(z), torch.tensor(statistics["centres"])).numpy().astype(np.int16).tobytes())

    for sound, phones, about in in_turns([*(rendered(f, done) for f in o.corpus), *(real(f, done, o.hold_out) for f in o.recordings)]):
        frames = len(sound) // HOP // 2 * 2
        sound = levelled(sound).astype(np.float32)
        with torch.no_grad():
            mel = log_mel(power(heard(torch.tensor(sound)[None])))[0, :frames].numpy()
        known = teachers.hear(sound, frames)
        arrays["mel.f16"].write(mel.astype(np.float16).tobytes())
        arrays["phones.i16"].write(phones[:frames].tobytes())
        index.append({"at": at, "frames": frames} | about)
        at, seconds = at + frames, seconds + frames * HOP / RATE
        if statistics is None:  # kept until there is enough to fit on
            waiting.append(known)
            if seconds > FITTED:
                statistics = fitted(waiting)
                np.savez(o.cache / "teachers.npz", **statistics)
                [write(w) for w in waiting]
                waiting = []
        else:
            write(known)
        if len(index) % 200 == 0:
            print(len(index), "recordings,", round(seconds / 60, 1), "minutes", flush=True)
    if waiting:
        statistics = fitted(waiting)
        np.savez(o.cache / "teachers.npz", **statistics)
        [write(w) for w in waiting]
    for f in arrays.values():
        f.close()
    if index:
        (half / "index.json").write_text(json.dumps(index))
        half.rename(o.cache / f"{len(shards):03d}")
    print(len(index), "recordings,", round(seconds / 3600, 2), "hours,", sum(r["test"] for r in index), "held out")


if __name__ == "__main__":
    main()
