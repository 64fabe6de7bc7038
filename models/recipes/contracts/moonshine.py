#!/usr/bin/env python3
"""moonshine.py: graphs of Moonshine's contracts with random weights, and what is heard with them.

Writes tests/data/contracts-moonshine/: `streaming-*` (v2, five graphs; the second as the runtime publishes them, in ONNX Runtime's own format, with a
decoder that tells its attention), `four-*` (v1, sherpa-onnx's four graphs) and `merged-*` (an encoder and a merged decoder; the second wants masks). What is
heard in tests/golden/reference.flac (`heard.json`) of the first is decoded here over the whole sound at once and must be, word for word, what Moonshine's own
library makes of the same files; of the others it is what sherpa-onnx hears.

The weights are random, but the decoder's first head is made to look at the sound evenly, so many frames a token, and the end comes when it has seen it all:
else a greedy decoder with random weights says one token for ever. So times can be tested, too.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 moonshine-voice==0.1.5 sherpa-onnx==2.0.1 soundfile==0.14.0
"""
import base64
import json
import shutil

import numpy as np
import onnx
import onnxruntime as ort
import sherpa_onnx
import soundfile as sf
from graphs import F32, I32, I64, ROOT, Graph, symbols
from onnx import TensorProto, helper

OUT = ROOT / "tests" / "data" / "contracts-moonshine"
BOS, EOS = 1, 2
# Frames of the sound that the first head passes over with each token; how positions are scaled; how narrowly it looks.
PACE, SCALE, NARROW = 10, 0.01, 2500.0
AFTER_THE_END, NOT_YET = 2000.0, 80.0


def ints(g, *values):
    return g.weight(np.array(values, np.int64))


def size(g, x, axis):
    """The length of an axis, [1]."""
    return g.node("Slice", g.node("Shape", x), ints(g, axis), ints(g, axis + 1))


def scalar(g, x):
    return g.node("Squeeze", x, ints(g, 0))


def slice_(g, x, start, end, axis):
    return g.node("Slice", x, start if isinstance(start, str) else ints(g, start), end if isinstance(end, str) else ints(g, end), ints(g, axis))


def count(g, length):
    return g.node("Range", g.weight(np.int64(0)), scalar(g, length), g.weight(np.int64(1)))


def frontend(path, seed, width):
    """Sound → features, 80 samples a frame, two convolutions that halve the frames; what doesn't fill a frame and what they look back on comes and goes."""
    g = Graph(seed)
    audio = g.input("audio_chunk", F32, [1, "chunk_len"])
    buffer, held = g.input("sample_buffer", F32, [1, 79]), g.input("sample_len", I64, [1])
    before1, before2 = g.input("conv1_buffer", F32, [1, width, 4]), g.input("conv2_buffer", F32, [1, 2 * width, 4])
    counted = g.input("frame_count", I64, [1])
    sound = g.node("Concat", slice_(g, buffer, 0, held, 1), audio, axis=1)
    frames = g.node("Div", size(g, sound, 1), ints(g, 80))
    used = g.node("Mul", frames, ints(g, 80))
    rows = g.node("Reshape", slice_(g, sound, 0, used, 1), g.node("Concat", ints(g, 1), frames, ints(g, 80), axis=0))
    loud = g.node("Tanh", g.node("MatMul", g.node("Mul", rows, g.weight(np.float32(30))), g.normal(80, width)))
    hidden = g.node("Transpose", loud, perm=[0, 2, 1])
    joined1 = g.node("Concat", before1, hidden, axis=2)
    out1 = g.node("Tanh", g.node("Conv", joined1, g.normal(2 * width, width, 5, scale=(5 * width) ** -0.5 * 1.5), strides=[2]))
    joined2 = g.node("Concat", before2, out1, axis=2)
    out2 = g.node("Conv", joined2, g.normal(width, 2 * width, 5, scale=(10 * width) ** -0.5 * 1.5), strides=[2])
    g.node("Transpose", out2, name="features", perm=[0, 2, 1])
    rest = slice_(g, sound, used, 1 << 40, 1)
    padded = g.node("Concat", rest, g.weight(np.zeros((1, 79), np.float32)), axis=1)
    g.node("Slice", padded, ints(g, 0), ints(g, 79), ints(g, 1), name="sample_buffer_out")
    g.node("Identity", size(g, rest, 1), name="sample_len_out")
    # As it is published: of fewer than four new ones no older ones are given back.
    g.node("Slice", hidden, ints(g, -4), ints(g, 1 << 40), ints(g, 2), name="conv1_buffer_out")
    g.node("Slice", out1, ints(g, -4), ints(g, 1 << 40), ints(g, 2), name="conv2_buffer_out")
    g.node("Add", counted, frames, name="frame_count_out")
    g.output("features", F32, [1, "feat_len", width])
    g.output("sample_buffer_out", F32, [1, 79])
    g.output("sample_len_out", I64, [1])
    g.output("conv1_buffer_out", F32, [1, width, "held1"])
    g.output("conv2_buffer_out", F32, [1, 2 * width, "held2"])
    g.output("frame_count_out", I64, [1])
    g.save(path, {})


def encoder(path, seed, width, windows):
    """Layers that see so many frames back and ahead, and know no positions."""
    g = Graph(seed)
    x = g.node("Transpose", g.input("features", F32, [1, "feat_len", width]), perm=[0, 2, 1])
    for past, future in windows:
        seen = g.node("Conv", x, g.normal(width, 1, past + 1 + future, scale=0.35), pads=[past, future], group=width)
        mixed = g.node("Conv", seen, g.normal(width, width, 1, scale=width ** -0.5 * 1.5))
        x = g.node("Add", g.node("Mul", x, g.weight(np.float32(0.6))), g.node("Tanh", mixed))
    g.node("Transpose", x, name="encoded", perm=[0, 2, 1])
    g.output("encoded", F32, [1, "feat_len", width])
    g.save(path, {})


def adapter(path, seed, width, wide):
    """Encoded frames → memory. Its first two channels tell the position and its square."""
    g = Graph(seed)
    encoded, offset = g.input("encoded", F32, [1, "enc_len", width]), g.input("pos_offset", I64, [1])
    places = g.node("Cast", g.node("Add", count(g, size(g, encoded, 1)), offset), to=F32)
    places = g.node("Mul", g.node("Reshape", places, ints(g, 1, -1, 1)), g.weight(np.float32(SCALE)))
    told = g.node("Concat", places, g.node("Mul", places, places), axis=2)
    project = g.random.standard_normal((width, wide)).astype(np.float32) * width ** -0.5 * 2
    project[:, :2] = 0
    select = np.eye(2, wide, dtype=np.float32)
    g.node("Add", g.node("MatMul", encoded, g.weight(project)), g.node("MatMul", told, g.weight(select)), name="memory")
    g.output("memory", F32, [1, "enc_len", wide])
    g.save(path, {})


def cross_weights(random, depth, wide, heads, of_head):
    """Keys and values of a layer: the first head's know the position, all others the content."""
    keys, values = [], []
    for _ in range(depth):
        k = random.standard_normal((wide, heads * of_head)).astype(np.float32)
        v = random.standard_normal((wide, heads * of_head)).astype(np.float32) * 0.4
        k[:, :of_head], k[:2], v[:2], v[:, 0] = 0, 0, 0, 0
        k[0, 0] = k[1, 1] = v[0, 0] = 1
        keys.append(k), values.append(v)
    return keys, values


def split(g, x, heads, of_head):
    """[1, n, heads · size] → [1, heads, n, size]."""
    return g.node("Transpose", g.node("Reshape", x, ints(g, 1, -1, heads, of_head)), perm=[0, 2, 1, 3])


def cross_kv(path, seed, depth, wide, heads, of_head):
    g = Graph(seed)
    memory = g.input("memory", F32, [1, "mem_len", wide])
    for name, weights in zip(("k_cross", "v_cross"), cross_weights(g.random, depth, wide, heads, of_head)):
        layers = [g.node("Unsqueeze", split(g, g.node("MatMul", memory, g.weight(w)), heads, of_head), ints(g, 0)) for w in weights]
        g.node("Concat", *layers, name=name, axis=0)
        g.output(name, F32, [depth, 1, heads, "mem_len", of_head])
    g.save(path, {})


def attend(g, query, key, value, of_head, mask=None, weights=None):
    """Attended values, [1, n, heads · size]."""
    scores = g.node("Mul", g.node("MatMul", query, g.node("Transpose", key, perm=[0, 1, 3, 2])), g.weight(np.float32(of_head ** -0.5)))
    share = g.node("Softmax", g.node("Add", scores, mask) if mask else scores, axis=-1, name=weights)
    out = g.node("Transpose", g.node("MatMul", share, value), perm=[0, 2, 1, 3])
    return g.node("Reshape", out, ints(g, 1, -1, g.width))


def decoder_layers(g, token, past_k, past_v, cross_k, cross_v, depth, wide, heads, of_head, vocabulary, attention, held=None):
    """Tokens after `past` of them → logits and the new caches, layer for layer ([1, heads, n, size] each)."""
    g.width = heads * of_head
    embed = g.random.standard_normal((vocabulary, wide)).astype(np.float32) * 0.4
    embed[:, :3] = 0
    n, held = size(g, token, 1), held or size(g, past_k[0], 2)
    places = g.node("Add", count(g, n), held)
    at = g.node("Reshape", g.node("Cast", places, to=F32), ints(g, 1, -1, 1))
    at = g.node("Mul", g.node("Add", g.node("Mul", at, g.weight(np.float32(PACE))), g.weight(np.float32(PACE / 2))), g.weight(np.float32(SCALE)))
    place = g.node("Concat", at, g.node("Add", g.node("Mul", at, g.weight(np.float32(0))), g.weight(np.float32(1))), axis=2)
    hidden = g.node("Add", g.node("Gather", g.weight(embed), token), g.node("MatMul", place, g.weight(np.eye(2, wide, dtype=np.float32))))
    rows = g.node("Unsqueeze", places, ints(g, 1))
    columns = g.node("Unsqueeze", count(g, g.node("Add", held, n)), ints(g, 0))
    mask = g.node("Mul", g.node("Cast", g.node("Less", rows, columns), to=F32), g.weight(np.float32(-1e9)))
    caches = []

    def matrix(rows, columns, scale):
        w = g.random.standard_normal((rows, columns)).astype(np.float32) * scale
        return w

    for layer in range(depth):
        query, key, value = (split(g, g.node("MatMul", hidden, g.weight(matrix(wide, g.width, wide ** -0.5))), heads, of_head) for _ in range(3))
        key, value = (g.node("Concat", past[layer], new, axis=2) for past, new in ((past_k, key), (past_v, value)))
        caches.append((key, value))
        out = matrix(g.width, wide, g.width ** -0.5 * 0.5)
        out[:, :3] = 0
        hidden = g.node("Add", hidden, g.node("MatMul", attend(g, query, key, value, of_head, mask), g.weight(out)))
        look = matrix(wide, g.width, wide ** -0.5)
        look[:, :of_head] = 0
        look[0, 0], look[1, 1] = 2 * NARROW * of_head ** 0.5, -NARROW * of_head ** 0.5
        query = split(g, g.node("MatMul", hidden, g.weight(look)), heads, of_head)
        seen = attend(g, query, cross_k[layer], cross_v[layer], of_head, None, f"cross_attentions.{layer}" if attention else None)
        out = matrix(g.width, wide, g.width ** -0.5 * 8)
        out[of_head:] *= 0.3
        out[:, :3], out[0] = 0, 0
        out[0, 2] = float(layer == depth - 1)
        hidden = g.node("Add", hidden, g.node("MatMul", seen, g.weight(out)))
    last = matrix(wide, vocabulary, wide ** -0.5 * 2)
    last[:3], last[:, EOS] = 0, 0
    last[0, EOS], last[2, EOS], last[1, EOS] = AFTER_THE_END, -AFTER_THE_END, -NOT_YET
    last[1, :2] = -50  # neither what is unknown nor a beginning
    g.node("MatMul", hidden, g.weight(last), name="logits")
    return caches


def decoder_kv(path, seed, depth, wide, heads, of_head, vocabulary, attention):
    g = Graph(seed)
    token = g.input("token", I64, [1, "token_len"])
    held = [g.input(name, F32, [depth, 1, heads, "cache_len", of_head]) for name in ("k_self", "v_self")]
    # These two come out as they went in, under the same name.
    cross = [g.input(name, F32, [depth, 1, heads, "memory_len", of_head]) for name in ("out_k_cross", "out_v_cross")]
    layers = [[g.node("Squeeze", slice_(g, x, i, i + 1, 0), ints(g, 0)) for i in range(depth)] for x in held + cross]
    caches = decoder_layers(g, token, *layers, depth, wide, heads, of_head, vocabulary, attention)
    g.output("logits", F32, [1, "token_len", vocabulary])
    for name, one in (("out_k_self", 0), ("out_v_self", 1)):
        g.node("Concat", *(g.node("Unsqueeze", cache[one], ints(g, 0)) for cache in caches), name=name, axis=0)
        g.output(name, F32, [depth, 1, heads, "new_len", of_head])
    for name in ("out_k_cross", "out_v_cross"):
        g.output(name, F32, [depth, 1, heads, "memory_len", of_head])
    for layer in range(depth if attention else 0):
        g.output(f"cross_attentions.{layer}", F32, [1, heads, "token_len", "memory_len"])
    g.save(path, {})


def pieces(vocabulary):
    """Pieces of which every row can be read in one way only, for the peer tells a text."""
    names = symbols(vocabulary)
    return ["<unk>", "<s>", "</s>"] + [name.replace("<0xC3>", "\u2581ex").replace("<0xA9>", "\u2581ey") for name in names[3:]]


def tokenizer_bin(path, names):
    """A length and so many bytes a token; a length of 128 or more takes two bytes."""
    out = bytearray()
    for name in names:
        data = name.encode()
        out += bytes([len(data)]) if len(data) < 128 else bytes([len(data) % 128 + 128, len(data) // 128])
        out += data
    path.write_bytes(out)


def text(tokens, names):
    return "".join(names[t] for t in tokens).replace("\u2581", " ").strip()


def reference():
    samples, rate = sf.read(ROOT / "tests" / "golden" / "reference.flac", dtype="float32")
    assert rate == 16000
    return samples


def session(path):
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


def hear_streaming(folder, config, samples, kept_back=0):
    """The whole sound at once, greedily; so many frames of the encoder at its end are left out."""
    run = {part: session(folder / f"{part}.onnx") for part in ("frontend", "encoder", "adapter", "cross_kv", "decoder_kv")}
    width, depth, heads, of_head = (config[k] for k in ("encoder_dim", "depth", "nheads", "head_dim"))
    zero = np.zeros(1, np.int64)
    held = {"sample_buffer": np.zeros((1, 79), np.float32), "sample_len": zero, "conv1_buffer": np.zeros((1, width, 4), np.float32),
            "conv2_buffer": np.zeros((1, 2 * width, 4), np.float32), "frame_count": zero}
    features = run["frontend"].run(["features"], {"audio_chunk": samples[None], **held})[0]
    encoded = run["encoder"].run(None, {"features": features})[0]
    memory = run["adapter"].run(None, {"encoded": encoded[:, :encoded.shape[1] - kept_back], "pos_offset": zero})[0]
    k_cross, v_cross = run["cross_kv"].run(None, {"memory": memory})
    k = v = np.zeros((depth, 1, heads, 0, of_head), np.float32)
    tokens, token, most = [], BOS, int(np.ceil(memory.shape[1] * 0.02 * 6.5))
    while len(tokens) < most:
        told = {"token": np.array([[token]]), "k_self": k, "v_self": v, "out_k_cross": k_cross, "out_v_cross": v_cross}
        logits, k, v = run["decoder_kv"].run(["logits", "out_k_self", "out_v_self"], told)
        token = int(np.argmax(logits[0, -1]))
        if token == EOS:
            break
        tokens.append(token)
    return tokens


def split_weights(path):
    """As newer builds are: the weights as inputs (`.model`), and a graph without inputs that gives them (`.weights`)."""
    model = onnx.load(path)
    large = [w for w in model.graph.initializer if w.data_type == F32 and np.prod(w.dims) >= 64]
    told = [helper.make_tensor_value_info(w.name, F32, list(w.dims)) for w in large]
    inside = []
    for weight in large:
        model.graph.initializer.remove(weight)
        held = TensorProto.FromString(weight.SerializeToString())
        held.name = f"{weight.name}_held"
        inside.append(held)
    model.graph.input.extend(told)
    nodes = [helper.make_node("Identity", [held.name], [value.name]) for held, value in zip(inside, told)]
    weights = helper.make_model(helper.make_graph(nodes, "weights", [], told, inside), opset_imports=model.opset_import, ir_version=8)
    for kind, half in (("model", model), ("weights", weights)):
        onnx.checker.check_model(half)
        onnx.save(half, path.with_name(f"{path.stem}.{kind}.onnx"))
    path.unlink()


def as_ort(path):
    """ONNX Runtime's own format beside it."""
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(path.with_suffix(".ort"))
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def peer_streaming(folder, samples):
    """Moonshine's own library; nothing of it is speech or not to its ears, so it gets the sound as one line."""
    from moonshine_voice import ModelArch, Transcriber

    options = {"vad_threshold": "0.0", "vad_max_segment_duration": "60", "identify_speakers": "false"}
    heard = Transcriber(model_path=str(folder), model_arch=ModelArch.TINY_STREAMING, options=options).transcribe_without_streaming(samples.tolist(), 16000)
    return " ".join(line.text for line in heard.lines)


def fresh(name):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def finish(folder, tokens, names, theirs):
    assert len(set(tokens)) >= 12, f"{folder.name} says next to nothing: {tokens}"
    (folder / "heard.json").write_text(json.dumps({"tokens": tokens, "text": text(tokens, names), "peer": theirs}) + "\n")
    total = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder.name}: {len(tokens)} tokens, {len(set(tokens))} of them different, {total / 1e3:.0f} kB")


def streaming(name, seed, width, wide, heads, of_head, vocabulary, windows, published):
    folder, names, depth = fresh(name), pieces(vocabulary), len(windows)
    frontend(folder / "frontend.onnx", seed, width)
    encoder(folder / "encoder.onnx", seed + 1, width, windows)
    adapter(folder / "adapter.onnx", seed + 2, width, wide)
    cross_kv(folder / "cross_kv.onnx", seed + 3, depth, wide, heads, of_head)
    decoder_kv(folder / "decoder_kv.onnx", seed + 4, depth, wide, heads, of_head, vocabulary, False)
    if published:
        decoder_kv(folder / "decoder_kv_with_attention.onnx", seed + 4, depth, wide, heads, of_head, vocabulary, True)
    tokenizer_bin(folder / "tokenizer.bin", names)
    config = {"encoder_dim": width, "decoder_dim": wide, "depth": depth, "nheads": heads, "head_dim": of_head, "vocab_size": vocabulary, "bos_id": BOS,
              "eos_id": EOS, "frame_len": 80, "total_lookahead": sum(future for _, future in windows), "d_model_frontend": width, "c1": 2 * width, "c2": width}
    (folder / "streaming_config.json").write_text(json.dumps(config, indent=2) + "\n")
    samples = reference()
    tokens = hear_streaming(folder, config, samples)
    # The library (0.1.5) reads blocks of 1280 samples, leaves out what doesn't fill one, and of a sound that is over it keeps back the frames whose look-ahead isn't whole.
    less = hear_streaming(folder, config, samples[:len(samples) // 512 * 512 // 1280 * 1280], config["total_lookahead"])
    if published:
        split_weights(folder / "frontend.onnx")
    graphs = list(folder.glob("*.onnx"))
    for graph in graphs:
        as_ort(graph)
    theirs = peer_streaming(folder, samples)
    assert theirs == text(less, names), f"Moonshine's library hears\n{theirs}\nnot\n{text(less, names)}"
    for graph in graphs:
        (graph if published else graph.with_suffix(".ort")).unlink()
    finish(folder, tokens, names, theirs)


def hear_sound(g, audio, width):
    """v1's three convolutions: 384 samples a position."""
    x = g.node("Mul", g.node("Unsqueeze", audio, ints(g, 1)), g.weight(np.float32(30)))
    for out, taken, step, over in ((width, 1, 64, 127), (2 * width, width, 3, 7), (width, 2 * width, 2, 3)):
        x = g.node("Tanh", g.node("Conv", x, g.normal(out, taken, over, scale=(taken * over) ** -0.5 * 2), strides=[step]))
    return g.node("Transpose", x, perm=[0, 2, 1])


def place(g, x, width, wide):
    """Encoded features with their position and its square in the first two channels."""
    mixed = g.node("Transpose", g.node("Conv", g.node("Transpose", x, perm=[0, 2, 1]), g.normal(width, width, 5, scale=(5 * width) ** -0.5 * 2), pads=[2, 2]), perm=[0, 2, 1])
    places = g.node("Mul", g.node("Reshape", g.node("Cast", count(g, size(g, x, 1)), to=F32), ints(g, 1, -1, 1)), g.weight(np.float32(SCALE)))
    told = g.node("Concat", places, g.node("Mul", places, places), axis=2)
    project = g.random.standard_normal((width, wide)).astype(np.float32) * width ** -0.5 * 2
    project[:, :2] = 0
    return g.node("Add", g.node("MatMul", mixed, g.weight(project)), g.node("MatMul", told, g.weight(np.eye(2, wide, dtype=np.float32))))


def keys_and_values(g, encoded, seed, depth, wide, heads, of_head):
    weights = cross_weights(np.random.default_rng(seed), depth, wide, heads, of_head)
    return [[split(g, g.node("MatMul", encoded, g.weight(w)), heads, of_head) for w in side] for side in weights]


def four(name, seed, width, wide, depth, heads, of_head, vocabulary):
    folder, names = fresh(name), pieces(vocabulary)
    g = Graph(seed)
    g.node("Identity", hear_sound(g, g.input("args_0", F32, [1, "N"]), width), name="features")
    g.output("features", F32, [1, "T", width])
    g.save(folder / "preprocess.onnx", {})
    g = Graph(seed + 1)
    features, length = g.input("args_0", F32, [1, "T", width]), g.input("args_1", I32, [1])
    # A length that isn't the features' own changes all.
    share = g.node("Div", g.node("Cast", length, to=F32), g.node("Cast", size(g, features, 1), to=F32))
    g.node("Identity", place(g, g.node("Mul", features, share), width, wide), name="encoded")
    g.output("encoded", F32, [1, "T", wide])
    g.save(folder / "encode.onnx", {})
    for cached in (False, True):
        g = Graph(seed + 2)
        token, encoded, length = g.input("args_0", I32, [1, 1]), g.input("args_1", F32, [1, "T", wide]), g.input("args_2", I32, [1])
        held = g.node("Sub", g.node("Cast", length, to=I64), ints(g, 1))
        if cached:
            layers = [[g.input(f"state_{4 * i + k}", F32, [1, heads, ("n", "n", "T", "T")[k], of_head]) for k in range(4)] for i in range(depth)]
            states = list(zip(*layers))
        else:
            empty = [g.weight(np.zeros((1, heads, 0, of_head), np.float32))] * depth
            states = [empty, empty, *keys_and_values(g, encoded, seed + 3, depth, wide, heads, of_head)]
        caches = decoder_layers(g, g.node("Cast", token, to=I64), *states, depth, wide, heads, of_head, vocabulary, False, held)
        g.output("logits", F32, [1, 1, vocabulary])
        for i, cache in enumerate(caches):
            for k, state in enumerate((*cache, states[2][i], states[3][i])):
                g.node("Identity", state, name=f"new_state_{4 * i + k}")
                g.output(f"new_state_{4 * i + k}", F32, [1, heads, ("n1", "n1", "T", "T")[k], of_head])
        g.save(folder / ("cached_decode.onnx" if cached else "uncached_decode.onnx"), {})
    (folder / "tokens.txt").write_text("".join(f"{symbol}\t{i}\n" for i, symbol in enumerate(names)))
    files = {part: str(folder / f"{graph}.onnx") for part, graph in (("preprocessor", "preprocess"), ("encoder", "encode"), ("uncached_decoder", "uncached_decode"), ("cached_decoder", "cached_decode"))}
    sherpa(folder, sherpa_onnx.OfflineRecognizer.from_moonshine(**files, tokens=str(folder / "tokens.txt")), names)


def either(g, condition, yes, no):
    """One of two values that may differ in shape."""
    name = f"n{len(g.nodes)}"
    branch = lambda kind, value: helper.make_graph([helper.make_node("Identity", [value], [f"{name}_{kind}"])], kind, [], [helper.make_tensor_value_info(f"{name}_{kind}", F32, None)])
    return g.node("If", condition, name=name, then_branch=branch("yes", yes), else_branch=branch("no", no))


def merged(name, seed, width, wide, depth, heads, of_head, vocabulary, masks):
    folder, names = fresh(name), pieces(vocabulary)
    g = Graph(seed)
    sound = g.input("input_values", F32, [1, "N"])
    if masks:
        sound = g.node("Mul", sound, g.node("Cast", g.input("attention_mask", I64, [1, "N"]), to=F32))
    g.node("Identity", place(g, hear_sound(g, sound, width), width, wide), name="last_hidden_state")
    g.output("last_hidden_state", F32, [1, "T", wide])
    g.save(folder / "encoder_model.onnx", {})
    g = Graph(seed + 1)
    if masks:
        mask = g.input("encoder_attention_mask", I64, [1, "M"])
    token, encoded = g.input("input_ids", I64, [1, "n"]), g.input("encoder_hidden_states", F32, [1, "T", wide])
    parts = [f"{side}.{part}" for side in ("decoder", "encoder") for part in ("key", "value")]
    past = [[g.input(f"past_key_values.{i}.{part}", F32, [1, heads, f"{part[:3]}_past", of_head]) for part in parts] for i in range(depth)]
    cached = g.input("use_cache_branch", TensorProto.BOOL, [1])
    if masks:
        # The mask is of samples: a place in 384 of it stands for a position.
        thin = g.node("Slice", mask, ints(g, 0), ints(g, 1 << 40), ints(g, 1), ints(g, 384))
        total = g.node("ReduceSum", thin, ints(g, 1), keepdims=1)
        encoded = g.node("Mul", encoded, g.node("Div", g.node("Cast", total, to=F32), g.node("Cast", size(g, encoded, 1), to=F32)))
    new = keys_and_values(g, encoded, seed + 2, depth, wide, heads, of_head)
    cross = [[either(g, cached, past[i][2 + k], new[k][i]) for i in range(depth)] for k in range(2)]
    caches = decoder_layers(g, token, [p[0] for p in past], [p[1] for p in past], *cross, depth, wide, heads, of_head, vocabulary, False)
    g.output("logits", F32, [1, "n", vocabulary])
    dummy = g.weight(np.zeros((1, heads, 0, of_head), np.float32))
    for i, cache in enumerate(caches):
        for part, value in zip(parts, (*cache, *(either(g, cached, dummy, new[k][i]) for k in range(2)))):
            g.node("Identity", value, name=f"present.{i}.{part}")
            g.output(f"present.{i}.{part}", F32, [1, heads, f"{part[:3]}_now", of_head])
    g.save(folder / "decoder_model_merged.onnx", {})
    # sherpa-onnx wants the symbols of this layout in base64, and gives them as they are.
    (folder / "tokens.txt").write_text("".join(f"{base64.b64encode(symbol.encode()).decode()}\t{i}\n" for i, symbol in enumerate(names)))
    peer = sherpa_onnx.OfflineRecognizer.from_moonshine_v2(encoder=str(folder / "encoder_model.onnx"), decoder=str(folder / "decoder_model_merged.onnx"), tokens=str(folder / "tokens.txt"))
    sherpa(folder, peer, names)


def sherpa(folder, recognizer, names):
    stream = recognizer.create_stream()
    stream.accept_waveform(16000, reference())
    recognizer.decode_stream(stream)
    told = {name.replace("\u2581", " "): i for i, name in enumerate(names)} | {name: i for i, name in enumerate(names)}
    finish(folder, [told[token] for token in stream.result.tokens], names, stream.result.text)


if __name__ == "__main__":
    streaming("streaming-1", 700, 12, 16, 2, 8, 64, [(16, 4), (16, 4)], False)
    streaming("streaming-2", 710, 16, 20, 2, 10, 80, [(16, 4), (16, 0), (16, 8)], True)
    four("four-1", 800, 12, 16, 2, 2, 8, 64)
    four("four-2", 810, 16, 20, 3, 2, 10, 80)
    merged("merged-1", 820, 12, 16, 2, 2, 8, 64, False)
    merged("merged-2", 830, 16, 20, 3, 2, 10, 80, True)
