#!/usr/bin/env python3
"""nemo.py: graphs of NeMo's cache-aware FastConformer contract with random weights, and what is heard with them.

Two layouts: caches with the batch first, all sizes in the metadata, prediction network and joiner apart (sherpa-onnx's exports; those of Nemotron take the
number of a language too), and caches with the layers first, prediction network and joiner in one graph, with little or no metadata (NeMo's own export).

Writes tests/data/contracts/nemo-*: the graphs, `tokens.txt`, and `heard.json` with tokens and times for tests/golden/reference.flac. What is heard is
decoded here, with kaldi-native-fbank's features and ONNX Runtime, since sherpa-onnx (2.0.1) counts four frames a token in its CTC path where there are
eight, gives no times without tokens for `<unk>`, and takes 80 bands there whatever the graph wants; the second layout it doesn't read. All else must be
what it hears, in each language too.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 sherpa-onnx kaldi-native-fbank==1.23.0 soundfile==0.14.0
"""
import json
import re

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


def encoder(path, seed, bands, chunk, caches, width, vocabulary, ctc, layout):
    """audio_signal, length and three caches → logprobs [1, frames, tokens] or outputs [1, width, frames], and what the caches become."""
    g = Graph(seed)
    window, steps = chunk + 9, chunk // FRAMES_A_TOKEN
    x = g.node("Add", g.input(layout.signal, F32, ["B", bands, "T" if layout.joint or layout.open else window]), g.weight(np.float32(8)))
    length = g.node("Cast", g.input(layout.length, I64, ["B"]), to=F32)
    lead = g.node("Slice", x, *(g.weight(np.array([v], np.int64)) for v in (9, window, 2)))
    rows = g.node("Reshape", g.node("Transpose", lead, perm=[0, 2, 1]), g.weight(np.array([1, steps, FRAMES_A_TOKEN * bands], np.int64)))
    total = g.node("MatMul", rows, g.normal(FRAMES_A_TOKEN * bands, width, scale=0.05))
    mood = g.node("ReduceMean", x, keepdims=0)
    share = g.node("Mul", g.node("ReduceMean", length, keepdims=0), g.weight(np.float32(1 / window)))
    total = g.node("Mul", total, share)
    for name, shape in caches.items():
        cache = g.input(name, F32, layout.cache(shape))
        total = g.node("Add", total, g.node("Mul", g.node("ReduceMean", cache, keepdims=0), g.normal(1, 1, width, scale=1.0)))
        new = g.node("Add", g.node("Mul", cache, g.weight(np.float32(0.7))), g.node("Mul", mood, g.weight(np.float32(0.1))))
        g.node("Identity", new, name=f"{name}_next")
    count = g.input("cache_last_channel_len", I64, ["B"])
    heard = g.node("Sin", g.node("Mul", g.node("ReduceMean", g.node("Cast", count, to=F32), keepdims=0), g.weight(np.float32(0.3))))
    total = g.node("Add", total, g.node("Mul", heard, g.normal(1, 1, width, scale=0.5)))
    g.node("Min", g.node("Add", count, g.weight(np.int64(steps))), g.weight(np.int64(caches["cache_last_channel"][1])), name="cache_last_channel_len_next")
    if layout.prompts:
        row = g.node("Gather", g.normal(max(layout.prompts.values()) + 1, width, scale=1.0), g.input("prompt_index", I64, ["B"]))
        total = g.node("Add", total, g.node("Unsqueeze", row, g.weight(np.array([1], np.int64))))
    hidden = g.node("Tanh", total)
    if ctc:
        bias = np.zeros(vocabulary + 1, np.float32)
        bias[-1] = 2.0
        g.node("LogSoftmax", g.node("Add", g.node("MatMul", hidden, g.normal(width, vocabulary + 1)), g.weight(bias)), name="logprobs", axis=-1)
        g.output("logprobs", F32, ["B", steps, vocabulary + 1])
    else:
        g.node("Transpose", hidden, name=layout.outputs, perm=[0, 2, 1])
        g.output(layout.outputs, F32, ["B", width, steps])
    g.node("Add", g.node("Mul", layout.length, g.weight(np.int64(0))), g.weight(np.int64(steps)), name=layout.lengths)
    g.output(layout.lengths, I64, ["B"])
    for name, shape in caches.items():
        g.output(f"{name}_next", F32, layout.cache(shape))
    g.output("cache_last_channel_len_next", I64, ["B"])
    dims = {f"{name}_dim{i + 1}": n for name, shape in caches.items() for i, n in enumerate(shape)}
    told = {"vocab_size": vocabulary, "normalize_type": "NA", "window_size": window, "chunk_shift": chunk, "subsampling_factor": FRAMES_A_TOKEN, "model_type": "EncDecHybridRNNTCTCBPEModel"}
    rnn = {} if ctc else {"pred_rnn_layers": LAYERS, "pred_hidden": HIDDEN}
    if layout.prompts:
        rnn |= {"prompt_dictionary": json.dumps(layout.prompts), "auto_prompt_id": layout.prompts["auto"], "feat_dim": bands, "chunk_size_ms": 10 * chunk}
    everything = {**told, **rnn, **dims}
    g.save(path, everything if layout.metadata is None else {key: everything[key] for key in layout.metadata})


class Layout:
    """Names, orders and what is told. `metadata`: the keys that there are; `None` for all."""

    def __init__(self, joint=False, prompts=None, nemo_names=False, metadata=None, open=False):
        self.joint, self.prompts, self.metadata, self.open = joint, prompts, metadata, open
        names = ("processed_signal", "processed_signal_length", "encoded", "encoded_len")
        self.signal, self.length, self.outputs, self.lengths = names if nemo_names else ("audio_signal", "length", "outputs", "encoded_lengths")

    def cache(self, shape):
        if self.open:
            # The frames of one, and the width of the other, as the script for Nemotron 3.5 leaves them open.
            return ["B", shape[0], "frames", shape[2]] if shape[2] != 8 else ["B", *shape[:2], "steps"]
        return [shape[0], "B", *shape[1:]] if self.joint else ["B", *shape]

    def empty(self, shape):
        return np.zeros([shape[0], 1, *shape[1:]] if self.joint else [1, *shape], np.float32)


LAYERS, HIDDEN = 2, 16


def predict(g, vocabulary, names, news):
    """targets, target_length and two states → a vector [1, hidden, 1], the length, what the states become."""
    targets, length = g.input("targets", I32, ["B", 1]), g.input("target_length", I32, ["B"])
    row = g.node("Squeeze", g.node("Gather", g.normal(vocabulary + 1, HIDDEN, scale=1.0), targets), g.weight(np.array([1], np.int64)))
    states = [g.input(name, F32, [LAYERS, "B", HIDDEN]) for name in names]
    new = []
    for state, rate, name in zip(states, (0.6, 0.8), news):
        step = g.node("Mul", row, g.normal(LAYERS, 1, HIDDEN, scale=0.6))
        new.append(g.node("Tanh", g.node("Add", g.node("Mul", state, g.weight(np.float32(rate))), step), name=name))
    both = g.node("Add", g.node("ReduceMean", new[0], axes=[0], keepdims=0), g.node("ReduceMean", new[1], axes=[0], keepdims=0))
    return both, length


def lengths_and_states(g, length, news):
    g.node("Identity", length, name="prednet_lengths")
    g.output("prednet_lengths", I32, ["B"])
    for name in news:
        g.output(name, F32, [LAYERS, "B", HIDDEN])


def decoder(path, seed, vocabulary):
    """A prediction network alone. The states' names are the exporter's."""
    g, news = Graph(seed), ("next.1", "next.2")
    vector, length = predict(g, vocabulary, ("states.1", "onnx::Slice_3"), news)
    g.node("Unsqueeze", vector, g.weight(np.array([-1], np.int64)), name="outputs")
    g.output("outputs", F32, ["B", HIDDEN, 1])
    lengths_and_states(g, length, news)
    g.save(path, {})


def joiner(path, seed, vocabulary, width, quiet):
    g = Graph(seed)
    join(g, vocabulary, width, quiet, *(g.node("Transpose", g.input(name, F32, ["B", n, 1]), perm=[0, 2, 1]) for name, n in (("encoder_outputs", width), ("decoder_outputs", HIDDEN))))
    g.save(path, {})


def decoder_joint(path, seed, vocabulary, width, quiet):
    """Both in one: encoder_outputs, targets, target_length and two states → outputs, prednet_lengths, what the states become."""
    g, news = Graph(seed), ("output_states_1", "output_states_2")
    frame = g.node("Transpose", g.input("encoder_outputs", F32, ["B", width, "T"]), perm=[0, 2, 1])
    vector, length = predict(g, vocabulary, ("input_states_1", "input_states_2"), news)
    join(g, vocabulary, width, quiet, frame, g.node("Unsqueeze", vector, g.weight(np.array([1], np.int64))))
    lengths_and_states(g, length, news)
    g.save(path, {})


def join(g, vocabulary, width, quiet, *rows):
    """A frame and a vector, [1, 1, ·] each → scores of all tokens; `quiet` makes the blank likelier."""
    both = g.node("Tanh", g.node("Add", g.node("MatMul", rows[0], g.normal(width, 24)), g.node("MatMul", rows[1], g.normal(HIDDEN, 24, scale=0.8))))
    bias = np.zeros(vocabulary + 1, np.float32)
    bias[-1] = quiet
    logits = g.node("Add", g.node("MatMul", both, g.normal(24, vocabulary + 1)), g.weight(bias))
    g.node("Unsqueeze", logits, g.weight(np.array([1], np.int64)), name="outputs")
    g.output("outputs", F32, ["B", 1, 1, vocabulary + 1])


def heard(folder, bands, chunk, caches, vocabulary, ctc, layout, language):
    """NeMo's greedy decoding, chunk for chunk."""
    def session(name):
        return ort.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"])

    encode = session("model" if ctc else "encoder")
    decode, join = (None, None) if ctc else (session("decoder_joint"), None) if layout.joint else (session("decoder"), session("joiner"))
    window, blank = chunk + 9, vocabulary
    mels = features(sound(window), bands)
    held = [layout.empty(shape) for shape in caches.values()] + [np.zeros(1, np.int64)]
    prompt = [np.array([layout.prompts[language]])] if layout.prompts else []
    names = [i.name for i in encode.get_inputs()]
    tokens, times, frame, last, at = [], [], 0, blank, 0

    def say(frame, token, states):
        inputs = [*frame, np.array([[token]], np.int32), np.array([1], np.int32), *states]
        out, _, *states = decode.run(None, dict(zip((i.name for i in decode.get_inputs()), inputs)))
        return out, states

    def score(frame):
        """Scores of a frame behind what was said, and the states behind the last token."""
        if layout.joint:
            return say([frame], said, states)
        out, new = said
        return join.run(None, {"encoder_outputs": frame, "decoder_outputs": out})[0], new

    if not ctc:
        states = [np.zeros((LAYERS, 1, HIDDEN), np.float32)] * 2
        said = blank if layout.joint else say([], blank, states)
    while at + window < len(mels):
        out, _, *held = encode.run(None, dict(zip(names, [mels[None, at:at + window].transpose(0, 2, 1), np.array([window]), *held, *prompt])))
        for row in out[0] if ctc else out[0].T:
            if ctc:
                best = int(np.argmax(row))
                if best not in (blank, last):
                    tokens.append(best), times.append(round(frame * FRAMES_A_TOKEN / 100, 4))
                last = best
            else:
                for _ in range(MOST_A_FRAME):
                    logits, new = score(row[None, :, None])
                    best = int(np.argmax(logits))
                    if best == blank:
                        break
                    tokens.append(best), times.append(round(frame * FRAMES_A_TOKEN / 100, 4))
                    said, states = (best if layout.joint else say([], best, new)), new
            frame += 1
        at += chunk
    return {"tokens": tokens, "times": times}


PROMPTS = {"auto": 5, "de-DE": 2, "en": 0, "en-US": 0, "fr": 3}
TAG = re.compile("<[a-z]{2}-[A-Z]{2}>")


def model(name, seed, bands, chunk, width, vocabulary, ctc=False, layout=Layout(), languages={}, left=70):
    """`languages`: as they are asked for → as the dictionary has them."""
    names = symbols(vocabulary + 1)[1:]
    if layout.prompts:
        names[10], names[27] = "<de-DE>", "<en-US>"
    # NeMo's own export has a tokenizer beside it, which knows no blank.
    names = names + ([] if layout.joint and layout.metadata == [] else ["<blk>"])
    folder = fresh(name, names)
    caches = {"cache_last_channel": [2, left, 12], "cache_last_time": [2, 12, 8]}
    encoder(folder / ("model.onnx" if ctc else "encoder.onnx"), seed, bands, chunk, caches, width, vocabulary, ctc, layout)
    quiet = 1.6 if layout.prompts is None and not layout.joint else 1.8
    if layout.joint:
        decoder_joint(folder / "decoder_joint.onnx", seed + 1, vocabulary, width, quiet)
    elif not ctc:
        decoder(folder / "decoder.onnx", seed + 1, vocabulary)
        joiner(folder / "joiner.onnx", seed + 2, vocabulary, width, quiet)
    told = dict(tokens=str(folder / "tokens.txt"), num_threads=1)
    if layout.joint:
        print("  sherpa-onnx doesn't read this layout")
    elif ctc and bands != 80:
        print("  sherpa-onnx gives this path 80 bands whatever the graph wants")
    every = {language: heard(folder, bands, chunk, caches, vocabulary, ctc, layout, known) for language, known in {None: "auto", **languages}.items()}
    for language, ours in every.items():
        if layout.joint or ctc and bands != 80:
            continue
        peer = sherpa_onnx.OnlineRecognizer
        files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner")}
        peer = peer.from_nemo_ctc(model=str(folder / "model.onnx"), **told) if ctc else peer.from_transducer(**files, **told)
        theirs = sherpa(peer, names, chunk + 9, language=language)
        # Of `<unk>` it tells the times, unless there are languages: of these, and of what is no text then, it tells nothing.
        spoken = zip(ours["tokens"], ours["times"])
        spoken = [(token, time) for token, time in spoken if not layout.prompts or names[token] != "<unk>" and not TAG.fullmatch(names[token])]
        times = [round(time / 2, 4) if ctc else time for _, time in spoken]
        spoken = [token for token, _ in spoken if names[token] != "<unk>"]
        assert spoken == theirs["tokens"] and times == theirs["times"], f"sherpa-onnx hears {theirs}, and not {spoken} at {times}"
    ours = every.pop(None)
    assert not layout.prompts or any(TAG.fullmatch(names[token]) for token in ours["tokens"]), "no language is told"
    assert all(others["tokens"] != ours["tokens"] for others in every.values()), "a language is not heard"
    finish(folder, {**ours, "languages": every} if every else ours)


for n, (bands, chunk, width, vocabulary) in enumerate([(80, 16, 24, 40), (128, 56, 32, 48)], 1):
    model(f"nemo-transducer-{n}", 500 + 10 * n, bands, chunk, width, vocabulary)
    model(f"nemo-ctc-{n}", 600 + 10 * n, bands, chunk, width, vocabulary, True)
model("nemo-prompt-1", 820, 128, 32, 16, 40, layout=Layout(prompts=PROMPTS), languages={"de": "de-DE", "en-US": "en-US"})
model("nemo-prompt-2", 843, 80, 56, 20, 48, layout=Layout(prompts={**PROMPTS, "auto": 7}), languages={"fr": "fr", "de-DE": "de-DE"})
# Nemotron 3.5 of 560 ms (`scripts/nemo/nemotron-3.5-asr-streaming-0.6b` of sherpa-onnx): 56 frames of left context, sizes left open.
model("nemo-prompt-3", 861, 128, 56, 16, 40, layout=Layout(prompts=PROMPTS, open=True), languages={"de": "de-DE", "en": "en"}, left=56)
model("nemo-joint-1", 923, 128, 56, 16, 40, layout=Layout(joint=True, nemo_names=True, metadata=[]))
some = ["vocab_size", "chunk_size_ms", "prompt_dictionary", "auto_prompt_id"]
model("nemo-joint-2", 939, 80, 32, 20, 48, layout=Layout(joint=True, prompts=PROMPTS, metadata=some), languages={"fr": "fr"})
