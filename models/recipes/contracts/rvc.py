#!/usr/bin/env python3
"""rvc.py: graphs of RVC's contracts with random weights, and what they make of a whole sound at once.

Writes tests/data/converters/rvc/: `content.onnx` (ContentVec), `rmvpe.onnx`, and voices of both export layouts with `NAME.f32`: the sound that ONNX
Runtime gives for tests/golden/reference.flac taken as if it were at the voice's rate, in one run over all of it, every KEPT-th sample. The weights mean
nothing; names, shapes, kinds and metadata of the tensors are those of w-okada's and RVC-Project's exports. Every input is heard in the output: a feature,
a pitch, a number of noise or a speaker that is another changes it. The graphs see a few frames around each, so windows can be as good as the whole.

`project-256-drawn.f32` is the sound of that voice with the features drawn by half to the rows of `index.npy`. `okada-768` draws a little noise by itself,
as w-okada's exports do: its sound differs in the fourth place from run to run. The resampler is that of src/dsp/resample.rs, written again.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 soundfile==0.14.0
"""
import json
import shutil

import numpy as np
import onnxruntime as ort
import soundfile as sf
from graphs import F32, I64, ROOT, Graph
from onnx import TensorProto, helper

OUT = ROOT / "tests" / "data" / "converters" / "rvc"
F16 = TensorProto.FLOAT16
SECONDS, KEPT = 1.6, 13


def kaiser_sinc(x, source, target):
    """Output m is the input's value at time m / target: 16 zero crossings a side at the lower rate, cut off at 0.93 of its Nyquist frequency, beta 8."""
    if source == target:
        return x
    ratio, half = source / target, -(-16 * source // min(source, target))
    cutoff = 0.93 * min(1.0, target / source)
    m = np.arange(int(len(x) * target / source))
    centre = m * source // target
    taps = np.arange(-half + 1, half + 1)
    t = (m * ratio - centre)[:, None] - taps
    w = np.i0(8 * np.sqrt(np.maximum(0, 1 - (t / half) ** 2))) / np.i0(8.0)
    rows = np.where(np.abs(t) >= half, 0, cutoff * np.sinc(cutoff * t) * w)
    rows /= rows.sum(1, keepdims=True)
    padded = np.pad(x.astype(np.float64), (half, half + 1))
    return (rows * padded[centre[:, None] + taps + half]).sum(1).astype(np.float32)


def noise(position):
    """The noise of src/voice/mynah/noise.rs at places given as uint64."""
    with np.errstate(over="ignore"):
        z = np.uint64(0x6D796E6168210001) + (position + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    total = sum((z >> np.uint64(s)) & np.uint64(0xFFFF) for s in (0, 16, 32, 48)).astype(np.float32)
    return ((total - np.float32(2 * 65535)) * np.float32(3 ** 0.5 / 65536)).astype(np.float32)


def content(path):
    g = Graph(1)
    x = g.node("Unsqueeze", g.input("audio", F32, [1, "N"]), g.weight(np.array([1], np.int64)))
    body = g.node("Tanh", g.node("Conv", x, g.normal(12, 1, 400, scale=0.6), strides=[320]))
    body = g.node("Tanh", g.node("Conv", body, g.normal(12, 12, 3, scale=0.3), pads=[1, 1]))
    for name, width in (("unit9", 256), ("unit12", 768)):
        g.node("Transpose", g.node("Conv", body, g.normal(width, 12, 1, scale=0.5)), name=name, perm=[0, 2, 1])
        g.output(name, F32, [1, "frames", width])
    g.save(path, {})


def rmvpe(path):
    g = Graph(2)
    x = g.node("Unsqueeze", g.input("waveform", F32, [1, "N"]), g.weight(np.array([1], np.int64)))
    threshold = g.input("threshold", F32, [1])
    body = g.node("Tanh", g.node("Conv", x, g.normal(6, 1, 320, scale=0.5), strides=[160], pads=[160, 160]))
    body = g.node("Tanh", g.node("Conv", body, g.normal(2, 6, 3, scale=0.8), pads=[1, 1]))
    height, voiced = g.node("Gather", body, g.weight(np.int64(0)), axis=1), g.node("Gather", body, g.weight(np.int64(1)), axis=1)
    hertz = g.node("Mul", g.weight(np.float32(180)), g.node("Exp", g.node("Mul", height, g.weight(np.float32(0.8)))))
    there = g.node("Greater", g.node("Sigmoid", g.node("Add", voiced, g.weight(np.float32(-0.5)))), threshold)
    g.node("Where", there, hertz, g.weight(np.float32(0)), name="pitchf")
    g.output("pitchf", F32, [1, "frames"])
    g.save(path, {})


def voice(path, seed, rate, width, layout, pitch, half=False, draws=False):
    okada = layout == "w-okada"
    g = Graph(seed)
    kind, number = (F16, np.float16) if half else (F32, np.float32)
    feats = g.input("feats" if okada else "phone", kind, [1, "T", width])
    lengths = g.input("p_len" if okada else "phone_lengths", I64, [1])
    frames = g.node("Cast", feats, to=F32)
    body = g.node("Conv", g.node("Transpose", frames, perm=[0, 2, 1]), g.normal(8, width, 1, scale=width ** -0.5 * 1.5))
    if pitch:
        coarse, hertz = g.input("pitch", I64, [1, "T"]), g.input("pitchf", F32, [1, "T"])
        body = g.node("Add", body, g.node("Transpose", g.node("Gather", g.normal(256, 8, scale=0.4), coarse), perm=[0, 2, 1]))
        rows = g.node("Unsqueeze", g.node("Mul", hertz, g.weight(np.float32(0.011))), g.weight(np.array([1], np.int64)))
        body = g.node("Add", body, g.node("Sin", g.node("Add", rows, g.normal(1, 8, 1, scale=1.0))))
    speaker = g.input("sid" if okada else "ds", I64, [1])
    body = g.node("Add", body, g.node("Transpose", g.node("Gather", g.normal(3, 8, scale=0.4), g.node("Unsqueeze", speaker, g.weight(np.array([0], np.int64)))), perm=[0, 2, 1]))
    if not okada:
        body = g.node("Add", body, g.node("Conv", g.input("rnd", F32, [1, 192, "T"]), g.normal(8, 192, 1, scale=0.05)))
    if draws:
        body = g.node("Add", body, g.node("Mul", g.node("RandomNormalLike", body), g.weight(np.float32(1e-4))))
    body = g.node("Tanh", body)
    # Frames beyond the length are nothing.
    count = g.node("Gather", g.node("Shape", feats), g.weight(np.int64(1)))
    inside = g.node("Less", g.node("Range", g.weight(np.int64(0)), count, g.weight(np.int64(1))), lengths)
    body = g.node("Mul", body, g.node("Unsqueeze", g.node("Cast", inside, to=F32), g.weight(np.array([0, 1], np.int64))))
    body = g.node("Tanh", g.node("Conv", body, g.normal(8, 8, 3, scale=0.35), pads=[1, 1]))
    hop = rate // 100
    wave = g.node("ConvTranspose", body, g.normal(8, 1, 2 * hop, scale=0.15), strides=[hop], pads=[hop // 2, hop // 2])
    wave = g.node("Tanh", wave)
    if okada:
        wave = g.node("Reshape", wave, g.weight(np.array([-1], np.int64)))
    g.node("Cast", wave, name="audio", to=kind)
    g.output("audio", kind, ["L"] if okada else [1, 1, "L"])
    said = {"application": "VC_CLIENT", "version": "2.1", "modelType": "pyTorchRVC", "samplingRate": rate, "f0": pitch, "embChannels": width, "embedder": "hubert_base",
            "embOutputLayer": 12 if width == 768 else 9, "useFinalProj": width == 256}
    g.save(path, {"metadata": json.dumps(said)} if okada else {})


def run(path, **inputs):
    return ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)


def drawn(features, index, share):
    """RVC's retrieval: of the 8 nearest rows the mean, weighted by the inverse squares of their squared distances."""
    distance = ((features[:, None] - index[None]) ** 2).sum(2)
    near = np.argsort(distance, 1)[:, :8]
    # RVC divides by 0 where a row is the feature itself.
    weight = np.square(1 / np.maximum(np.take_along_axis(distance, near, 1), 1e-6))
    weight /= weight.sum(1, keepdims=True)
    return share * (index[near] * weight[:, :, None]).sum(1) + (1 - share) * features


def whole(name, rate, width, layout, pitch, half=False, index=None, **_):
    samples, _ = sf.read(ROOT / "tests" / "golden" / "reference.flac", dtype="float32")
    samples = samples[:int((SECONDS + 1) * rate)]
    low = kaiser_sinc(samples, rate, 16000)
    features = run(OUT / "content.onnx", audio=low[None])[0 if width == 256 else 1]
    if index:
        # Something near what is said: the voice of the same sound played faster.
        rows = run(OUT / "content.onnx", audio=samples[None])[0][0][::5][:48].copy()
        assert rows.shape == (48, width)
        np.save(OUT / index, rows)
        features = drawn(features[0].astype(np.float64), rows, 0.5)[None].astype(np.float32)
    feats = np.repeat(features, 2, 1)
    n = feats.shape[1]
    hertz = run(OUT / "rmvpe.onnx", waveform=low[None], threshold=np.array([0.3], np.float32))[0][:, :n]
    if pitch:
        assert 0.2 < (hertz > 0).mean() < 0.8 and np.ptp(hertz[hertz > 0]) > 60, "the pitch is next to nothing"
    hertz = np.where(hertz > 0, np.clip(hertz, 50, 800), 0).astype(np.float32)
    low_mel, high_mel = (1127 * np.log(1 + f / 700) for f in (50, 1100))
    coarse = np.rint(np.clip((1127 * np.log(1 + hertz.astype(np.float64) / 700) - low_mel) * 254 / (high_mel - low_mel) + 1, 1, 255)).astype(np.int64)
    one, count = np.array([0], np.int64), np.array([n], np.int64)
    told = {"feats" if layout == "w-okada" else "phone": feats.astype(np.float16 if half else np.float32), "p_len" if layout == "w-okada" else "phone_lengths": count,
            "sid" if layout == "w-okada" else "ds": one}
    if pitch:
        told |= {"pitch": coarse, "pitchf": hertz}
    if layout != "w-okada":
        places = np.arange(n, dtype=np.uint64)[None] * np.uint64(192) + np.arange(192, dtype=np.uint64)[:, None]
        told["rnd"] = (noise(places) * np.float32(0.66666))[None]
    sound = run(OUT / f"{name.removesuffix('-drawn')}.onnx", **told)[0].reshape(-1).astype(np.float32)[:int(SECONDS * rate)]
    assert len(sound) == int(SECONDS * rate) and np.sqrt((sound ** 2).mean()) > 0.02, name
    sound[::KEPT].tofile(OUT / f"{name}.f32")
    print(f"{name}: rms {np.sqrt((sound ** 2).mean()):.3f}, {len(set(coarse[0])) if pitch else 0} pitches")


VOICES = {
    "okada-768": dict(seed=10, rate=48000, width=768, layout="w-okada", pitch=True, draws=True),
    "okada-256-half": dict(seed=20, rate=32000, width=256, layout="w-okada", pitch=False, half=True),
    "project-768": dict(seed=30, rate=40000, width=768, layout="RVC-Project", pitch=True),
    "project-256": dict(seed=40, rate=32000, width=256, layout="RVC-Project", pitch=True),
}


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    content(OUT / "content.onnx")
    rmvpe(OUT / "rmvpe.onnx")
    for name, v in VOICES.items():
        voice(OUT / f"{name}.onnx", **v)
        whole(name, **v)
    whole("project-256-drawn", index="index.npy", **VOICES["project-256"])
    print(f"{sum(f.stat().st_size for f in OUT.iterdir()) / 1e3:.0f} kB")


main()
