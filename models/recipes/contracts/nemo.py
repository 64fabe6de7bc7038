#!/usr/bin/env python3
"""nemo.py: graphs of NeMo's cache-aware FastConformer contract (batch first) with random weights, and what is heard with them.

Writes tests/data/contracts/nemo-*: the graphs, `tokens.txt`, and `heard.json` with tokens and times for tests/golden/reference.flac. What is heard is
decoded here, with kaldi-native-fbank's features and ONNX Runtime, since sherpa-onnx (2.0.1) counts four frames a token in its CTC path where there are
eight, gives no times without tokens for `<unk>`, and takes 80 bands there whatever the graph wants. All else must be what it hears.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 sherpa-onnx kaldi-native-fbank==1.23.0 soundfile==0.14.0
"""
import kaldi_native_fbank as knf
import numpy as np
import onnxruntime as ort
import sherpa_onnx
from graphs import F32, I32, I64, Graph, finish, fresh, sherpa, sound, symbols

FRAMES_A_TOKEN = 8
MOST_A_FRAME = 10


def features(samples, bands):
    o = knf.FbankOptions()
    o.frame_opts.dither, o.frame_opts.snip_edges, o.frame_opts.remove_dc_offset, o.frame_opts.window_type = 0, False, False, "hann"
    o.mel_opts.num_bins, o.mel_opts.low_freq, o.mel_opts.high_freq, o.mel_opts.is_librosa = bands, 0, 8000, True
    fbank = knf.OnlineFbank(o)
    fbank.accept_waveform(16000, samples)
    fbank.input_finished()
    return np.stack([fbank.get_frame(t) for t in range(fbank.num_frames_ready)])


def encoder(path, seed, bands, chunk, caches, width, vocabulary, ctc):
    """audio_signal, length and three caches → logprobs [1, frames, tokens] or outputs [1, width, frames], and what the caches become."""
    g = Graph(seed)
    window, steps = chunk + 9, chunk // FRAMES_A_TOKEN
    x = g.node("Add", g.input("audio_signal", F32, ["B", bands, window]), g.weight(np.float32(8)))
    length = g.node("Cast", g.input("length", I64, ["B"]), to=F32)
    lead = g.node("Slice", x, *(g.weight(np.array([v], np.int64)) for v in (9, window, 2)))
    rows = g.node("Reshape", g.node("Transpose", lead, perm=[0, 2, 1]), g.weight(np.array([1, steps, FRAMES_A_TOKEN * bands], np.int64)))
    total = g.node("MatMul", rows, g.normal(FRAMES_A_TOKEN * bands, width, scale=0.05))
    mood = g.node("ReduceMean", x, keepdims=0)
    share = g.node("Mul", g.node("ReduceMean", length, keepdims=0), g.weight(np.float32(1 / window)))
    total = g.node("Mul", total, share)
    for name, shape in caches.items():
        cache = g.input(name, F32, ["B", *shape])
        total = g.node("Add", total, g.node("Mul", g.node("ReduceMean", cache, keepdims=0), g.normal(1, 1, width, scale=1.0)))
        new = g.node("Add", g.node("Mul", cache, g.weight(np.float32(0.7))), g.node("Mul", mood, g.weight(np.float32(0.1))))
        g.node("Identity", new, name=f"{name}_next")
    count = g.input("cache_last_channel_len", I64, ["B"])
    heard = g.node("Sin", g.node("Mul", g.node("ReduceMean", g.node("Cast", count, to=F32), keepdims=0), g.weight(np.float32(0.3))))
    total = g.node("Add", total, g.node("Mul", heard, g.normal(1, 1, width, scale=0.5)))
    g.node("Min", g.node("Add", count, g.weight(np.int64(steps))), g.weight(np.int64(caches["cache_last_channel"][1])), name="cache_last_channel_len_next")
    hidden = g.node("Tanh", total)
    if ctc:
        bias = np.zeros(vocabulary + 1, np.float32)
        bias[-1] = 2.0
        g.node("LogSoftmax", g.node("Add", g.node("MatMul", hidden, g.normal(width, vocabulary + 1)), g.weight(bias)), name="logprobs", axis=-1)
        g.output("logprobs", F32, ["B", steps, vocabulary + 1])
    else:
        g.node("Transpose", hidden, name="outputs", perm=[0, 2, 1])
        g.output("outputs", F32, ["B", width, steps])
    g.node("Add", g.node("Mul", "length", g.weight(np.int64(0))), g.weight(np.int64(steps)), name="encoded_lengths")
    g.output("encoded_lengths", I64, ["B"])
    for name, shape in caches.items():
        g.output(f"{name}_next", F32, ["B", *shape])
    g.output("cache_last_channel_len_next", I64, ["B"])
    dims = {f"{name}_dim{i + 1}": n for name, shape in caches.items() for i, n in enumerate(shape)}
    told = {"vocab_size": vocabulary, "normalize_type": "NA", "window_size": window, "chunk_shift": chunk, "subsampling_factor": FRAMES_A_TOKEN, "model_type": "EncDecHybridRNNTCTCBPEModel"}
    rnn = {} if ctc else {"pred_rnn_layers": LAYERS, "pred_hidden": HIDDEN}
    g.save(path, {**told, **rnn, **dims})


LAYERS, HIDDEN = 2, 16


def decoder(path, seed, vocabulary):
    """targets, target_length and two states → outputs [1, hidden, 1], prednet_lengths, what the states become. The states' names are the exporter's."""
    g = Graph(seed)
    targets, length = g.input("targets", I32, ["B", 1]), g.input("target_length", I32, ["B"])
    row = g.node("Squeeze", g.node("Gather", g.normal(vocabulary + 1, HIDDEN, scale=1.0), targets), g.weight(np.array([1], np.int64)))
    states = [g.input(name, F32, [LAYERS, "B", HIDDEN]) for name in ("states.1", "onnx::Slice_3")]
    new = []
    for state, rate, name in zip(states, (0.6, 0.8), ("next.1", "next.2")):
        step = g.node("Mul", row, g.normal(LAYERS, 1, HIDDEN, scale=0.6))
        new.append(g.node("Tanh", g.node("Add", g.node("Mul", state, g.weight(np.float32(rate))), step), name=name))
    both = g.node("Add", g.node("ReduceMean", new[0], axes=[0], keepdims=0), g.node("ReduceMean", new[1], axes=[0], keepdims=0))
    g.node("Unsqueeze", both, g.weight(np.array([-1], np.int64)), name="outputs")
    g.node("Identity", length, name="prednet_lengths")
    g.output("outputs", F32, ["B", HIDDEN, 1])
    g.output("prednet_lengths", I32, ["B"])
    for name in ("next.1", "next.2"):
        g.output(name, F32, [LAYERS, "B", HIDDEN])
    g.save(path, {})


def joiner(path, seed, vocabulary, width):
    g = Graph(seed)
    rows = [g.node("Transpose", g.input(name, F32, ["B", n, 1]), perm=[0, 2, 1]) for name, n in (("encoder_outputs", width), ("decoder_outputs", HIDDEN))]
    both = g.node("Tanh", g.node("Add", g.node("MatMul", rows[0], g.normal(width, 24)), g.node("MatMul", rows[1], g.normal(HIDDEN, 24, scale=0.8))))
    bias = np.zeros(vocabulary + 1, np.float32)
    bias[-1] = 1.6
    logits = g.node("Add", g.node("MatMul", both, g.normal(24, vocabulary + 1)), g.weight(bias))
    g.node("Unsqueeze", logits, g.weight(np.array([1], np.int64)), name="outputs")
    g.output("outputs", F32, ["B", 1, 1, vocabulary + 1])
    g.save(path, {})


def heard(folder, bands, chunk, caches, vocabulary, ctc):
    """NeMo's greedy decoding, chunk for chunk."""
    def session(name):
        return ort.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])

    encode = session("model" if ctc else "encoder")
    decode, join = (None, None) if ctc else (session("decoder"), session("joiner"))
    window, blank = chunk + 9, vocabulary
    mels = features(sound(window), bands)
    held = [np.zeros((1, *shape), np.float32) for shape in caches.values()] + [np.zeros(1, np.int64)]
    names = [i.name for i in encode.get_inputs()]
    tokens, times, frame, last, at = [], [], 0, blank, 0

    def say(token, states):
        inputs = [np.array([[token]], np.int32), np.array([1], np.int32), *states]
        out, _, *states = decode.run(None, dict(zip((i.name for i in decode.get_inputs()), inputs)))
        return out, states

    if not ctc:
        said, states = say(blank, [np.zeros((LAYERS, 1, HIDDEN), np.float32)] * 2)
    while at + window < len(mels):
        out, _, *held = encode.run(None, dict(zip(names, [mels[None, at:at + window].transpose(0, 2, 1), np.array([window]), *held])))
        for row in out[0] if ctc else out[0].T:
            if ctc:
                best = int(np.argmax(row))
                if best not in (blank, last):
                    tokens.append(best), times.append(round(frame * FRAMES_A_TOKEN / 100, 4))
                last = best
            else:
                for _ in range(MOST_A_FRAME):
                    logits = join.run(None, {"encoder_outputs": row[None, :, None], "decoder_outputs": said})[0]
                    best = int(np.argmax(logits))
                    if best == blank:
                        break
                    tokens.append(best), times.append(round(frame * FRAMES_A_TOKEN / 100, 4))
                    said, states = say(best, states)
            frame += 1
        at += chunk
    return {"tokens": tokens, "times": times}


def model(name, seed, bands, chunk, width, vocabulary, ctc):
    names = symbols(vocabulary + 1)[1:] + ["<blk>"]
    folder = fresh(name, names)
    caches = {"cache_last_channel": [2, 70, 12], "cache_last_time": [2, 12, 8]}
    encoder(folder / ("model.onnx" if ctc else "encoder.onnx"), seed, bands, chunk, caches, width, vocabulary, ctc)
    if not ctc:
        decoder(folder / "decoder.onnx", seed + 1, vocabulary)
        joiner(folder / "joiner.onnx", seed + 2, vocabulary, width)
    ours = heard(folder, bands, chunk, caches, vocabulary, ctc)
    finish(folder, ours)
    files = {} if ctc else {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner")}
    told = dict(tokens=str(folder / "tokens.txt"), num_threads=1)
    if ctc and bands != 80:
        print("  sherpa-onnx gives this path 80 bands whatever the graph wants")
        return
    peer = sherpa_onnx.OnlineRecognizer
    theirs = sherpa(peer.from_nemo_ctc(model=str(folder / "model.onnx"), **told) if ctc else peer.from_transducer(**files, **told), names, chunk + 9)
    spoken = [t for t in ours["tokens"] if names[t] != "<unk>"]
    times = [round(t / 2, 4) for t in ours["times"]] if ctc else ours["times"]
    assert spoken == theirs["tokens"] and times == theirs["times"], f"sherpa-onnx hears {theirs}"


for n, (bands, chunk, width, vocabulary) in enumerate([(80, 16, 24, 40), (128, 56, 32, 48)], 1):
    model(f"nemo-transducer-{n}", 500 + 10 * n, bands, chunk, width, vocabulary, False)
    model(f"nemo-ctc-{n}", 600 + 10 * n, bands, chunk, width, vocabulary, True)
