#!/usr/bin/env python3
"""icefall.py: graphs of icefall's streaming contracts with random weights, and what sherpa-onnx hears with them.

Writes tests/data/contracts/NAME/: the graphs, `tokens.txt`, and `heard.json` with the tokens and times that sherpa-onnx gives for
tests/golden/reference.flac in blocks of 0.1 s, with as much silence behind it as a chunk is long. The weights mean nothing; names, shapes, order and
metadata of the tensors are those that icefall exports and sherpa-onnx reads. Two of them hear Whisper's features, with byte-level BPE: for these
`heard.json` has the text too. Every cache comes back changed and is heard in the output, so a cache
that is lost, exchanged or not emptied changes what is said.

`x-asr-1` is laid out as X-ASR's streaming zipformer2 for chunks of 480 ms (`scripts/zipformer-transducer/x-asr` of sherpa-onnx): its stacks and layers, 256 frames
of left context, encoder and joiner in 8 bits beside the full ones, a vocabulary of Chinese and English with punctuation. Its text is closed up, as X-ASR's own
runtime does with what sherpa-onnx gives.
pip: numpy==2.4.6 onnx sherpa-onnx soundfile==0.14.0
"""
import numpy as np
import sherpa_onnx
from graphs import F32, I64, OUT, Graph, bilingual, bytes_bpe, closed_up, finish, fresh, sherpa, symbols
from onnx import helper
from onnxruntime.quantization import QuantType, quantize_dynamic

FRAMES_A_TOKEN = 4
# Features: their bands, what brings them around 0 (log mels of speech lie around -8, Whisper's between -1.5 and 1.5), how much they are heard.
FBANK, WHISPER, WHISPER_LARGE = (80, 8, 0.08), (80, 0, 0.35), (128, 0, 0.35)


def encoder(path, seed, chunk, frames, states, metadata, width, processed=False, head=None, features=FBANK):
    """x and caches → what it is, and the caches. `states`: name → (type, shape). With `head` the output is log probabilities of so many tokens."""
    g = Graph(seed)
    bands, middle, spread = features
    x = g.node("Add", g.input("x", F32, ["N", frames, bands]), g.weight(np.float32(middle)))
    steps = chunk // FRAMES_A_TOKEN
    lead = g.node("Slice", x, *(g.weight(np.array([v], np.int64)) for v in (frames - chunk, frames, 1)))
    rows = g.node("Reshape", lead, g.weight(np.array([1, steps, FRAMES_A_TOKEN * bands], np.int64)))
    total = g.node("MatMul", rows, g.normal(FRAMES_A_TOKEN * bands, width, scale=spread))
    mood = g.node("ReduceMean", x, keepdims=0)
    for name, (kind, shape) in states.items():
        cache = g.input(name, kind, shape)
        if kind == F32:
            heard = g.node("ReduceMean", cache, keepdims=0)
            # Each cache decays in its own way towards what was heard.
            old = g.node("Mul", cache, g.weight(np.float32(0.5 + 0.4 * g.random.random())))
            new = g.node("Mul", mood, g.weight(np.float32(g.random.standard_normal() * 0.1)))
            g.node("Add", old, new, name=f"new_{name}")
        else:
            mean = g.node("ReduceMean", g.node("Cast", cache, to=F32), keepdims=0)
            heard = g.node("Sin", g.node("Mul", mean, g.weight(np.float32(0.05))))
            g.node("Add", cache, g.weight(np.int64(steps)), name=f"new_{name}")
        g.output(f"new_{name}", kind, shape)
        total = g.node("Add", total, g.node("Mul", heard, g.normal(1, 1, width, scale=2 * len(states) ** -0.5)))
    if processed:
        mean = g.node("ReduceMean", g.node("Cast", g.input("processed_lens", I64, ["N"]), to=F32), keepdims=0)
        heard = g.node("Sin", g.node("Mul", mean, g.weight(np.float32(0.02))))
        total = g.node("Add", total, g.node("Mul", heard, g.normal(1, 1, width, scale=0.5)))
    hidden = g.node("Tanh", total, name=None if head else "encoder_out")
    if head:
        logits = g.node("Add", g.node("MatMul", hidden, g.normal(width, head)), g.weight(np.array([2.2] + [0.0] * (head - 1), np.float32)))
        g.node("LogSoftmax", logits, name="log_probs", axis=-1)
    first = ("log_probs", head) if head else ("encoder_out", width)
    g.outputs.insert(0, helper.make_tensor_value_info(first[0], F32, ["N", steps, first[1]]))
    g.save(path, {**metadata, "T": frames, "decode_chunk_len": chunk})


def decoder(path, seed, vocabulary, context, width):
    g = Graph(seed)
    y = g.input("y", I64, ["N", context])
    zero = g.weight(np.int64(0))
    there = g.node("Cast", g.node("GreaterOrEqual", y, zero), to=F32)
    rows = g.node("Gather", g.normal(vocabulary, width, scale=1.0), g.node("Max", y, zero))
    rows = g.node("Mul", rows, g.node("Unsqueeze", there, g.weight(np.array([-1], np.int64))))
    flat = g.node("Reshape", rows, g.weight(np.array([-1, context * width], np.int64)))
    g.node("Relu", g.node("MatMul", flat, g.normal(context * width, width)), name="decoder_out")
    g.output("decoder_out", F32, ["N", width])
    g.save(path, {"context_size": context, "vocab_size": vocabulary})


def joiner(path, seed, vocabulary, width, quiet=1.6):
    g = Graph(seed)
    both = g.node("Tanh", g.node("Add", g.input("encoder_out", F32, ["N", width]), g.input("decoder_out", F32, ["N", width])))
    bias = np.zeros(vocabulary, np.float32)
    bias[0] = quiet
    g.node("Add", g.node("MatMul", both, g.normal(width, vocabulary)), g.weight(bias), name="logit")
    g.output("logit", F32, ["N", vocabulary])
    g.save(path, {"joiner_dim": width})


def zipformer2_states(m):
    states, n = {}, 0
    for i, layers in enumerate(m["num_encoder_layers"]):
        left, key, value = m["left_context_len"][i], m["query_head_dims"][i] * m["num_heads"][i], m["value_head_dims"][i] * m["num_heads"][i]
        dim, kernel = m["encoder_dims"][i], m["cnn_module_kernels"][i] // 2
        for _ in range(layers):
            shapes = {"key": [left, "N", key], "nonlin_attn": [1, "N", left, 3 * dim // 4], "val1": [left, "N", value], "val2": [left, "N", value],
                      "conv1": ["N", dim, kernel], "conv2": ["N", dim, kernel]}
            states |= {f"cached_{kind}_{n}": (F32, shape) for kind, shape in shapes.items()}
            n += 1
    return states | {"embed_states": (F32, ["N", 128, 3, 19]), "processed_lens": (I64, ["N"])}


def zipformer_states(m):
    kinds = {"len": [], "avg": ["dim"], "key": ["left", "N", "att"], "val": ["left", "N", "half"], "val2": ["left", "N", "half"]}
    states = {}
    for kind in ("len", "avg", "key", "val", "val2", "conv1", "conv2"):
        for i, layers in enumerate(m["num_encoder_layers"]):
            dim, att, left, kernel = (m[k][i] for k in ("encoder_dims", "attention_dims", "left_context_len", "cnn_module_kernels"))
            shape = {"len": [layers, "N"], "avg": [layers, "N", dim], "key": [layers, left, "N", att], "val": [layers, left, "N", att // 2],
                     "val2": [layers, left, "N", att // 2], "conv1": [layers, "N", dim, kernel - 1], "conv2": [layers, "N", dim, kernel - 1]}[kind]
            states[f"cached_{kind}_{i}"] = (I64 if kind == "len" else F32, shape)
    return states


def transducer(name, seed, chunk, frames, states, metadata, width, vocabulary, context, processed=False, names=None, features=FBANK):
    text, names = names is not None, names or symbols(vocabulary)
    folder = fresh(name, names)
    encoder(folder / "encoder.onnx", seed, chunk, frames, states, metadata, width, processed, features=features)
    decoder(folder / "decoder.onnx", seed + 1, vocabulary, context, width)
    joiner(folder / "joiner.onnx", seed + 2, vocabulary, width)
    files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder", "joiner")}
    recognizer = sherpa_onnx.OnlineRecognizer.from_transducer(tokens=str(folder / "tokens.txt"), num_threads=1, feature_dim=features[0], **files)
    heard = sherpa(recognizer, names, frames, text)
    finish(folder, {**heard, "text": closed_up(heard["text"])} if text else heard)


def ctc(name, seed, chunk, frames, metadata, width, vocabulary, blank, names=None, features=FBANK):
    text, names = names is not None, names or symbols(vocabulary, blank)
    folder = fresh(name, names)
    encoder(folder / "model.onnx", seed, chunk, frames, zipformer2_states(metadata), metadata, width, head=vocabulary, features=features)
    files = dict(tokens=str(folder / "tokens.txt"), model=str(folder / "model.onnx"))
    recognizer = sherpa_onnx.OnlineRecognizer.from_zipformer2_ctc(num_threads=1, feature_dim=features[0], **files)
    finish(folder, sherpa(recognizer, names, frames, text))


ZIPFORMER2 = [
    dict(encoder_dims=[16, 24], query_head_dims=[4, 4], value_head_dims=[3, 3], num_heads=[2, 4], num_encoder_layers=[1, 2], cnn_module_kernels=[31, 15], left_context_len=[64, 32]),
    dict(encoder_dims=[12, 16, 20], query_head_dims=[8, 8, 8], value_head_dims=[4, 4, 4], num_heads=[1, 2, 2], num_encoder_layers=[2, 1, 1], cnn_module_kernels=[31, 31, 15],
         left_context_len=[128, 64, 32]),
]
ZIPFORMER = [
    dict(encoder_dims=[16, 16], attention_dims=[8, 8], num_encoder_layers=[2, 1], cnn_module_kernels=[31, 31], left_context_len=[64, 32]),
    dict(encoder_dims=[12, 20, 12], attention_dims=[16, 8, 8], num_encoder_layers=[1, 1, 2], cnn_module_kernels=[15, 31, 15], left_context_len=[32, 16, 8]),
]


X_ASR = dict(encoder_dims=[4, 4, 8, 8, 8, 4], query_head_dims=[2] * 6, value_head_dims=[1] * 6, num_heads=[2, 2, 2, 4, 2, 2], num_encoder_layers=[2, 2, 4, 5, 4, 2],
             cnn_module_kernels=[31, 31, 15, 15, 15, 31], left_context_len=[256, 128, 64, 32, 64, 128])


def x_asr():
    kind = {"model_type": "zipformer2", "version": "1", **X_ASR}
    transducer("x-asr-1", 715, 48, 61, zipformer2_states(X_ASR), kind, 24, 60, 2, names=bilingual(60))
    for part in ("encoder", "joiner"):
        quantize_dynamic(OUT / "x-asr-1" / f"{part}.onnx", OUT / "x-asr-1" / f"{part}.int8.onnx", op_types_to_quantize=["MatMul"], weight_type=QuantType.QInt8)


def main():
    x_asr()
    for n, m in enumerate(ZIPFORMER2, 1):
        kind = {"model_type": "zipformer2", "version": "1", **m}
        transducer(f"zipformer2-{n}", 10 * n, [32, 64][n - 1], [45, 77][n - 1], zipformer2_states(m), kind, [24, 32][n - 1], [40, 64][n - 1], [2, 2][n - 1])
        ctc(f"zipformer2-ctc-{n}", 100 + 10 * n, [32, 16][n - 1], [45, 29][n - 1], kind, [24, 32][n - 1], [40, 64][n - 1], ["<blk>", "<blank>"][n - 1])
    m = ZIPFORMER2[0]
    whisper = {"model_type": "zipformer2", "version": "1", "feature": "whisper", **m}
    transducer("zipformer2-whisper-1", 190, 32, 45, zipformer2_states(m), whisper, 16, 48, 2, names=bytes_bpe(48), features=WHISPER)
    ctc("zipformer2-ctc-whisper-1", 155, 32, 45, whisper, 12, 40, "<blk>", names=bytes_bpe(40), features=WHISPER_LARGE)
    for n, m in enumerate(ZIPFORMER, 1):
        kind = {"model_type": "zipformer", "version": "1", **m}
        transducer(f"zipformer-{n}", 200 + 10 * n, [32, 64][n - 1], [39, 71][n - 1], zipformer_states(m), kind, [24, 16][n - 1], [40, 52][n - 1], [2, 1][n - 1])
    for n, (layers, left, dim, kernel) in enumerate([(2, 64, 16, 31), (3, 32, 8, 15)], 1):
        m = dict(model_type="conformer", version="1", num_encoder_layers=layers, left_context=left, encoder_dim=dim, pad_length=7, cnn_module_kernel=kernel)
        states = {"cached_attn": (F32, [layers, left, "N", dim]), "cached_conv": (F32, [layers, kernel - 1, "N", dim])}
        transducer(f"conformer-{n}", 300 + 10 * n, 32, 39, states, m, 24, 40, 2, processed=True)
    for n, (layers, model, hidden) in enumerate([(3, 16, 32), (12, 8, 16)], 1):
        m = dict(model_type="lstm", version="1", num_encoder_layers=layers, d_model=model, rnn_hidden_size=hidden)
        states = {"state0": (F32, [layers, "N", model]), "state1": (F32, [layers, "N", hidden])}
        transducer(f"lstm-{n}", 400 + 10 * n, 4, 9, states, m, 24, 40, 2)


if __name__ == "__main__":
    main()
