#!/usr/bin/env python3
"""meanvc.py: graphs of the contracts of MeanVC 2 and MeanVC with random weights, and what their own way of running them makes of a sentence.

Writes tests/data/contracts-meanvc/NAME/: `encoder.onnx`, `memory.onnx` (MeanVC 2), `flow.onnx`, `vocoder.onnx`, and `sound.f32`, what a NumPy runner on
onnxruntime makes of tests/golden/reference.flac with them. The weights mean nothing; types, sizes and order of inputs and outputs are those that are
published, the inner sizes are small. Every cache comes back changed and is heard in the output. One set has the inputs that exporters drop, the
other has not. The runner counts positions on and on, as MeanVC's own does before it drops its caches.

`meanvc2-files` is MeanVC 2 of 120 + 40 ms as the files of the hub's `kiarina/MeanVC2-ONNX`: names, sizes and order as its model card tells them, `fbank.onnx`
and `speaker/speaker.onnx` among them; in `int8` products of matrices in 8 bits. What the card doesn't tell is made as unkindly as it may be: what caches
become comes out in another order than they go in.

Also `meanvc-plain-*`: graphs that paint the loudness of what they hear, for where things stand in time; `meanvc/speaker.onnx`, and features
of two libraries beside it.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 kaldi-native-fbank==1.23.0 librosa==0.11.0 soundfile==0.14.0
"""
import shutil

import kaldi_native_fbank as knf
import librosa
import numpy as np
import onnxruntime as ort
import soundfile as sf
from graphs import F32, ROOT
from mean_graphs import (BANDS, SLOTS, WIDTH, Nodes, cache_inputs, encoder, fbank, flow1, flow2, flow_fused, frames_to_sound, memory, speaker, vocoder,
                         vocoder_of_spectra)
from onnxruntime.quantization import QuantType, quantize_dynamic

OUT = ROOT / "tests" / "data" / "contracts-meanvc"
FRAME, LEAD = 160, 720
# As their own runtimes have them: MeanVC's, and MeanVC 2's.
TIMES = {"meanvc": [1.0, 0.8, 0.0], "meanvc2": [1.0, 0.5, 0.0]}
FILES = {"encoder": "asr", "memory": "gtm", "flow": "dit", "vocoder": "vocos"}
# chunk, ahead, stride, layers and rows of the encoder's cache, overlap of the vocoder
MODELS = {"meanvc2-4": (4, 4, 8, 6, 4, 2), "meanvc2-12": (12, 4, 16, 6, 8, 2), "meanvc-20": (20, 0, 20, 7, 10, 3)}


def plain(name):
    """Content is how loud it is; what is painted is content, exactly, whatever the noise; sound is a tone as loud as that."""
    chunk, ahead, stride, layers, kept, _ = MODELS[name]
    folder = fresh(name.replace("meanvc", "meanvc-plain", 1))
    g, rows = Nodes(0), stride // 4
    x = g.input("chunk_xs", F32, [1, stride + 3, BANDS])
    caches = [g.input("att_cache", F32, [layers, 4, kept, 128]), g.input("cnn_cache", F32, [layers, 1, WIDTH, 8])]
    loud = g.turn(g.node("Sigmoid", g.add(x, -14.0)), 0, 2, 1)
    mean = g.node("Conv", loud, g.weight(np.full((1, BANDS, 7), 1 / (7 * BANDS), np.float32)), strides=[4])
    g.result("output", g.mul(g.reshape(mean, 1, rows, 1), g.weight(np.ones((1, 1, WIDTH), np.float32))), [1, rows, WIDTH])
    for cache, shape in zip(caches, ([layers, 4, kept, 128], [layers, 1, WIDTH, 8])):
        g.result(f"new_{cache}", cache, shape)
    g.save(folder / "encoder.onnx", {})
    if ahead:
        g = Nodes(0)
        spk = g.reshape(g.input("spk", F32, [1, WIDTH]), 1, 1, WIDTH)
        for memory_of in ("k_mem", "v_mem"):
            g.result(memory_of, g.mul(spk, g.weight(np.ones((1, SLOTS, 1), np.float32))), [1, SLOTS, WIDTH])
        g.save(folder / "memory.onnx", {})
    g, n = Nodes(0), chunk + ahead
    x, t, _ = g.input("x", F32, [1, n, BANDS]), g.input("t", F32, [1]), g.input("r", F32, [1])
    if not ahead:
        g.input("cache", F32, [1, "c", BANDS])
    cond = g.input("cond", F32, [1, n, WIDTH])
    g.input("spks", F32, [1, WIDTH])
    if ahead:
        g.input("gtm_k", F32, [1, SLOTS, WIDTH]), g.input("gtm_v", F32, [1, SLOTS, WIDTH])
    else:
        g.input("prompts", F32, [1, "p", BANDS])
    past = cache_inputs(g)
    mel = g.add(g.mul(g.cut(cond, 0, BANDS, 2), 2.0), -1.0)
    g.result("u", g.node("Div", g.node("Sub", x, mel), g.reshape(t, 1, 1, 1)), [1, n, BANDS])
    for i, cache in enumerate(sum(past, [])):
        g.result(f"new_{i}", cache, [1, 2, "kept", 8])
    g.save(folder / "flow.onnx", {})
    g = Nodes(0)
    loud = g.node("ReduceMean", g.input("mel", F32, [1, BANDS, "T"]), axes=[1], keepdims=0)
    tone = g.weight(np.cos(2 * np.pi * np.arange(320) / 20).astype(np.float32)[None])
    frames_to_sound(g, g.mul(g.reshape(loud, -1, 1), tone))
    g.save(folder / "vocoder.onnx", {})
    told(folder)


def fresh(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def told(folder):
    print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1e3:.0f} kB")


def noise(count):
    """src/voice/mynah/noise.rs, from position 0 on."""
    with np.errstate(over="ignore"):
        z = np.uint64(0x6d796e6168210001) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
        z ^= z >> np.uint64(31)
    parts = sum(((z >> np.uint64(16 * i)) & np.uint64(0xffff)).astype(np.float64) for i in range(4))
    return ((parts - 2 * 65535) * (3**0.5 / 65536)).astype(np.float32)


def features(samples):
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.snip_edges, options.mel_opts.num_bins = 0, True, BANDS
    options.mel_opts.high_freq = 0
    bank = knf.OnlineFbank(options)
    bank.accept_waveform(16000, (samples * 32768).astype(np.float32))
    bank.input_finished()
    return np.stack([bank.get_frame(t) for t in range(bank.num_frames_ready)])


def decoded(made):
    """Sound as it came, or of spectra."""
    if len(made) == 1:
        return made[0][0]
    return librosa.istft(made[0][0] + 1j * made[1][0], n_fft=640, hop_length=160, win_length=640, window="hann", center=True)


def run(folder, name, samples, voice, prompt, files={}):
    """As MeanVC's own runtime goes, for a whole sound at once and without its twice-heard frames. `files`: other names of the parts."""
    chunk, ahead, stride, layers, kept, overlap = MODELS[name]
    graph = lambda part: ort.InferenceSession(folder / f"{files.get(part, part)}.onnx", providers=["CPUExecutionProvider"])
    encode, paint, speak = graph("encoder"), graph("flow"), graph("vocoder")
    wanted = lambda session, values: {i.name: values[i.name] for i in session.get_inputs()}
    banks = features(np.concatenate([np.zeros(LEAD), samples, np.zeros(16000)]))
    # MeanVC begins with empty caches, MeanVC 2 with zeros.
    offset, rows = kept if ahead else 0, []
    att, cnn = np.zeros((layers, 4, offset, 128), np.float32), np.zeros((layers, 1, WIDTH, 8 if ahead else 0), np.float32)
    for at in range(0, len(banks) - stride - 2, stride):
        values = {"chunk_xs": banks[None, at:at + stride + 3], "offset": np.array(offset), "required_cache_size": np.array(kept), "att_cache": att,
                  "cnn_cache": cnn}
        out, att, cnn = encode.run(["output", "new_att_cache", "new_cnn_cache"], wanted(encode, values))
        rows.append(out[0])
        offset += stride // 4
    rows = np.concatenate(rows)
    assert np.std(rows, axis=0).mean() > 0.1, f"content of {name} hardly changes"
    # A row every four frames, the first at frame 3; before it nothing changes.
    places = np.arange(4 * len(rows))
    cond = np.stack([np.interp(places, 4 * np.arange(len(rows)) + 3, column) for column in rows.T], axis=1).astype(np.float32)
    timbre = graph("memory").run(None, {"spk": voice}) if ahead else [None, None]
    z = noise((len(cond) + ahead) * BANDS).reshape(-1, BANDS)
    past = {i.name: np.zeros([n if isinstance(n, int) else 0 for n in i.shape], np.float32) for i in paint.get_inputs() if len(i.shape) > 3}
    gives = [o.name for o in paint.get_outputs()]
    # What each becomes: under its name, or in its place.
    becomes = [key.replace("past", "present") if key.replace("past", "present") in gives else gives[i + 1] for i, key in enumerate(past)]
    painted, mels = np.zeros((1, 0, BANDS), np.float32), []
    scalar = lambda session, key, v: np.full([1] if next((i.shape for i in session.get_inputs() if i.name == key), []) else [], v, np.float32)
    for first in range(0, len(cond) - chunk - ahead + 1, chunk):
        frames = slice(first, first + chunk + ahead)
        x = z[None, frames]
        fused = "kv" in past
        times = TIMES["meanvc2" if ahead else "meanvc"]
        for t, r in [(0, 0)] if fused else zip(times, times[1:]):
            values = {"x": x, "t": scalar(paint, "t", t), "r": scalar(paint, "r", r), "cond": cond[None, frames], "spks": voice, "spk": voice,
                      "offset": np.array(first), "gtm_k": timbre[0], "gtm_v": timbre[1], "k_mem": timbre[0], "v_mem": timbre[1],
                      "kv_valid": np.array(min(first, 3 * chunk)), "cache": painted, "prompts": prompt, **past}
            u, *new = paint.run([gives[0], *becomes], wanted(paint, values))
            x = u if fused else x - np.float32(t - r) * u
        past = {key: value[..., -100:, :] for key, value in zip(past, new)}
        mels.append(x[0, :chunk])
        if not ahead:
            painted = x
    assert next(iter(past.values())).shape[-2] == (3 * chunk if ahead else 100)
    fade = (overlap - 1) * FRAME
    up = np.linspace(0, 1, fade, dtype=np.float32)
    seen, last, sound = np.zeros((0, BANDS), np.float32), None, []
    for mel in mels:
        seen = np.concatenate([seen, mel])
        wav = decoded(speak.run(None, {"mel": (seen.T[None] + 1) / 2}))
        if last is not None:
            wav[:fade] = last * (1 - up) + wav[:fade] * up
        sound.append(wav[:-fade])
        last, seen = wav[-fade:], seen[-overlap:]
    return np.concatenate(sound)[LEAD:LEAD + len(samples)]


def model(name, seed, fused=False):
    chunk, ahead, stride, layers, kept, _ = MODELS[name]
    folder, all_told = fresh(name.replace("meanvc", "meanvc-fused") if fused else name), chunk != 12
    encoder(folder / "encoder.onnx", seed, stride, layers, kept, all_told, not ahead)
    if ahead:
        memory(folder / "memory.onnx", seed + 1)
    if fused:
        flow_fused(folder / "flow.onnx", seed + 4, chunk)
        vocoder_of_spectra(folder / "vocoder.onnx", seed + 5)
    else:
        flow2(folder / "flow.onnx", seed + 2, chunk, all_told) if ahead else flow1(folder / "flow.onnx", seed + 2, chunk)
        vocoder(folder / "vocoder.onnx", seed + 3)
    sound = run(folder, name, clip, voice, prompt)
    assert np.std(sound) > 0.02 and np.isfinite(sound).all(), np.std(sound)
    sound.astype("<f4").tofile(folder / "sound.f32")
    if fused:
        # The same as in the set that is not.
        (folder / "encoder.onnx").unlink(), (folder / "memory.onnx").unlink()
    told(folder)


def published(seed):
    """The files of kiarina/MeanVC2-ONNX."""
    name = "meanvc2-12"
    chunk, _, stride, layers, kept, _ = MODELS[name]
    folder = fresh("meanvc2-files")
    (folder / "speaker").mkdir(), (folder / "int8" / "speaker").mkdir(parents=True)
    fbank(folder / "fbank.onnx", seed)
    encoder(folder / "asr.onnx", seed + 1, stride, layers, kept, False, swapped=True)
    memory(folder / "gtm.onnx", seed + 2)
    flow2(folder / "dit.onnx", seed + 3, chunk, False, paired=True)
    vocoder(folder / "vocos.onnx", seed + 4)
    speaker(folder / "speaker" / "speaker.onnx", 90)
    for part in ("asr", "dit", "speaker/speaker"):
        quantize_dynamic(folder / f"{part}.onnx", folder / "int8" / f"{part}.onnx", op_types_to_quantize=["MatMul"], weight_type=QuantType.QUInt8)
    # Its products are convolutions.
    shutil.copy(folder / "vocos.onnx", folder / "int8" / "vocos.onnx")
    shutil.copy(folder / "gtm.onnx", folder / "int8" / "gtm.onnx")
    eight = ort.InferenceSession(folder / "int8" / "speaker" / "speaker.onnx").run(None, {"wav": reference[None, 16000:64000]})[0]
    for place, heard, told_as in ((folder, voice, "sound"), (folder / "int8", eight, "sound.int8")):
        sound = run(place, name, clip, heard, prompt, FILES)
        assert np.std(sound) > 0.02 and np.isfinite(sound).all(), np.std(sound)
        sound.astype("<f4").tofile(folder / f"{told_as}.f32")
    (folder / "int8" / "vocos.onnx").unlink(), (folder / "int8" / "gtm.onnx").unlink()
    size = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    print(f"{folder.name}: {size / 1e3:.0f} kB")


reference, _ = sf.read(ROOT / "tests" / "golden" / "reference.flac", dtype="float32")
clip = reference[16000:16000 + 12000]
shared = fresh("meanvc")
speaker(shared / "speaker.onnx", 90)
voice = ort.InferenceSession(shared / "speaker.onnx").run(None, {"wav": reference[None, 16000:64000]})[0]
voice.astype("<f4").tofile(shared / "speaker.f32")
features(clip[:4000]).astype("<f4").tofile(shared / "features.f32")
spectrum = np.abs(librosa.stft(reference[16000:64000], n_fft=1024, win_length=640, hop_length=160, pad_mode="reflect"))
level = librosa.filters.mel(sr=16000, n_fft=1024, n_mels=BANDS, fmin=0, fmax=8000) @ np.sqrt(spectrum**2 + 1e-6)
level = 20 * np.log10(np.maximum(level, 10 ** (-115 / 20))) - 20
mel = np.clip(2 * (level + 115) / 115 - 1, -1, 1).T.astype(np.float32)
mel[:25].astype("<f4").tofile(shared / "mel.f32")
# The prompt that a voice keeps: 256 frames, in hundredths.
prompt = (np.round(mel[None, :256] * 100) / 100).astype(np.float32)
told(shared)
for number, name in enumerate(MODELS):
    model(name, 700 + 10 * number)
    plain(name)
model("meanvc2-4", 700, fused=True)
published(760)
