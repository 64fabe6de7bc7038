"""The graphs of meanvc.py: nodes, the parts of MeanVC's converters with random weights."""
import numpy as np
from graphs import F32, I64, Graph

BANDS, WIDTH, SLOTS = 80, 256, 32


class Nodes(Graph):
    """Graphs with a few words more."""

    def ints(self, *values):
        return self.weight(np.array(values, np.int64))

    def cut(self, x, start, end, axis):
        return self.node("Slice", x, self.ints(start) if isinstance(start, int) else start, self.ints(end), self.ints(axis))

    def reshape(self, x, *shape):
        return self.node("Reshape", x, self.ints(*shape))

    def turn(self, x, *order):
        return self.node("Transpose", x, perm=list(order))

    def join(self, axis, *parts):
        return self.node("Concat", *parts, axis=axis)

    def mul(self, a, b):
        return self.node("Mul", a, b if isinstance(b, str) else self.weight(np.float32(b)))

    def add(self, a, b):
        return self.node("Add", a, b if isinstance(b, str) else self.weight(np.float32(b)))

    def length(self, x, axis):
        return self.node("Gather", self.node("Shape", x), self.weight(np.int64(axis)))

    def count(self, start, end):
        """The whole numbers from one to another, as f32."""
        return self.node("Cast", self.node("Range", start, end, self.weight(np.int64(1))), to=F32)

    def result(self, name, x, shape):
        self.node("Identity", x, name=name)
        self.output(name, F32, shape)


def encoder(path, seed, stride, layers, kept, told, open_=False, swapped=False):
    """A chunk of features → rows of content, with attention over rows that went before, at positions that are counted, and convolutions over channels.
    With `open_` the caches may begin empty; `swapped` gives what they become in the other order."""
    g, inner, rows = Nodes(seed), 8, stride // 4
    x = g.input("chunk_xs", F32, [1, stride + 3, BANDS])
    offset = g.input("offset", I64, [])
    if told:
        g.input("required_cache_size", I64, [])
    att = g.input("att_cache", F32, [layers, 4, "rows" if open_ else kept, 128])
    cnn = g.input("cnn_cache", F32, [layers, 1, WIDTH, "steps" if open_ else 8])
    bands = g.turn(g.mul(g.add(x, -12.0), 0.25), 0, 2, 1)
    h = g.node("Conv", bands, g.normal(inner, BANDS, 7, scale=0.08), strides=[4])
    h = g.reshape(g.turn(g.node("Tanh", h), 0, 2, 1), rows, inner)
    q, k, v = (g.normal(inner, WIDTH, scale=0.6) for _ in range(3))
    up, down = g.normal(inner, WIDTH, scale=0.4), g.normal(WIDTH, inner, scale=0.04)
    taps = g.normal(WIDTH, 1, 9, scale=0.4)
    rate = g.weight((10000.0 ** (-np.arange(64) / 64)).astype(np.float32)[None])
    phase = g.weight((np.arange(64) % 2 * np.pi / 2).astype(np.float32)[None])
    start = g.node("Sub", offset, g.length(att, 2))
    places = g.reshape(g.count(start, g.node("Add", offset, g.weight(np.int64(rows)))), -1, 1)
    table = g.node("Sin", g.add(g.mul(places, rate), phase))
    heads = lambda w: g.turn(g.reshape(g.node("MatMul", h, w), rows, 4, 64), 1, 0, 2)
    nothing = [g.weight(np.zeros((WIDTH, 8), np.float32))] if open_ else []
    new_att, new_cnn = [], []
    for layer in range(layers):
        past = g.node("Squeeze", g.cut(att, layer, layer + 1, 0), g.ints(0))
        keys = g.join(1, g.cut(past, 0, 64, 2), heads(k))
        values = g.join(1, g.cut(past, 64, 128, 2), heads(v))
        new_att.append(g.node("Unsqueeze", g.cut(g.join(2, keys, values), -kept, 1 << 30, 1), g.ints(0)))
        query = heads(q)
        scores = g.add(g.node("MatMul", query, g.turn(keys, 0, 2, 1)), g.mul(g.node("MatMul", query, g.turn(table, 1, 0)), 0.5))
        seen = g.node("MatMul", g.node("Softmax", g.mul(scores, 0.125), axis=-1), values)
        h = g.add(h, g.mul(g.node("MatMul", g.reshape(g.turn(seen, 1, 0, 2), rows, WIDTH), down), 0.7))
        past = g.node("Squeeze", g.cut(cnn, layer, layer + 1, 0), g.ints(0, 1))
        line = g.join(1, *nothing, past, g.turn(g.node("MatMul", h, up), 1, 0))
        line = g.cut(line, -8 - rows, 1 << 30, 1)
        new_cnn.append(g.reshape(g.cut(line, rows, 1 << 30, 1), 1, 1, WIDTH, 8))
        # Eight past steps and this one: as many results as rows.
        made = g.node("Conv", g.reshape(line, 1, WIDTH, 8 + rows), taps, group=WIDTH)
        h = g.node("Tanh", g.add(h, g.node("MatMul", g.turn(g.reshape(g.node("Tanh", made), WIDTH, rows), 1, 0), down)))
    g.result("output", g.reshape(g.node("MatMul", h, up), 1, rows, WIDTH), [1, rows, WIDTH])
    g.result("new_att_cache", g.join(0, *new_att), [layers, 4, "kept", 128])
    g.result("new_cnn_cache", g.join(0, *new_cnn), [layers, 1, WIDTH, 8])
    if swapped:
        g.outputs[1:] = g.outputs[:0:-1]
    g.save(path, {})


def memory(path, seed):
    g = Nodes(seed)
    few = g.node("MatMul", g.input("spk", F32, [1, WIDTH]), g.normal(WIDTH, 4, scale=0.3))
    slots = g.reshape(g.node("Tanh", g.node("MatMul", few, g.normal(4, SLOTS))), 1, SLOTS, 1)
    for name in ("k_mem", "v_mem"):
        g.result(name, g.node("Sin", g.add(g.mul(slots, g.normal(1, 1, WIDTH, scale=2.0)), g.normal(1, 1, WIDTH, scale=1.0))), [1, SLOTS, WIDTH])
    g.save(path, {})


def rotated(g, x, places):
    """x [1,H,n,8], places [n]: rotated by them, the halves of the width together."""
    rate = g.weight((10000.0 ** (-np.arange(4) / 4)).astype(np.float32)[None])
    angle = g.mul(g.reshape(places, -1, 1), rate)
    both = g.join(1, angle, angle)
    swapped = g.join(3, g.node("Neg", g.cut(x, 4, 8, 3)), g.cut(x, 0, 4, 3))
    return g.add(g.mul(x, g.node("Cos", both)), g.mul(swapped, g.node("Sin", both)))


def attention(g, h, inner, past, chunk, back, on, dropped, offset, sharp=0.7):
    """One layer over h [1,n,inner] with cached keys and values; gives what was seen, and the new ones. `dropped` frames at the end are not cached."""
    n = g.length(h, 1)
    heads = lambda: g.turn(g.reshape(g.node("MatMul", h, g.normal(inner, 16, scale=0.5)), 1, -1, 2, 8), 0, 2, 1, 3)
    query = heads()
    keys, values = (g.join(2, cache, heads()) for cache in past)
    total = g.length(keys, 2)
    zero = g.weight(np.int64(0))
    last = g.node("Add", offset, n) if offset else total
    key_places, query_places = g.count(g.node("Sub", last, total), last), g.count(g.node("Sub", last, n), last)
    scores = g.mul(g.node("MatMul", rotated(g, query, query_places), g.turn(rotated(g, keys, key_places), 0, 1, 3, 2)), sharp)
    # Chunks are counted from the first key on.
    index = g.node("Range", zero, total, g.weight(np.int64(1)))
    size = g.weight(np.int64(chunk))
    number = g.node("Div", index, size)
    mine = g.reshape(g.cut(number, g.node("Neg", g.reshape(n, 1)), 1 << 30, 0), -1, 1)
    away = g.node("Sub", mine, g.reshape(number, 1, -1))
    seen = g.node("And", g.node("GreaterOrEqual", away, zero), g.node("LessOrEqual", away, g.weight(np.int64(back))))
    if on:
        early = g.node("Less", g.reshape(g.node("Sub", index, g.node("Mul", number, size)), 1, -1), g.weight(np.int64(on)))
        seen = g.node("Or", seen, g.node("And", early, g.node("Equal", away, g.weight(np.int64(-1)))))
    scores = g.node("Where", seen, scores, g.weight(np.float32(-1e9)))
    made = g.node("MatMul", g.node("Softmax", scores, axis=-1), values)
    made = g.node("MatMul", g.reshape(g.turn(made, 0, 2, 1, 3), 1, -1, 16), g.normal(16, inner, scale=0.3))
    return made, [g.cut(all_, 0, -dropped, 2) for all_ in (keys, values)]


def moment(g, t, r, inner):
    """What a layer knows of the times."""
    at = lambda time, scale: g.mul(g.reshape(time, 1, 1, 1), g.normal(1, 1, inner, scale=scale))
    return g.node("Sin", g.add(at(t, 2.0), at(r, 1.5)))


def velocity(g, x, h, inner, scale=0.3):
    """Most of the noise goes away with it."""
    g.result("u", g.add(g.mul(x, 0.8), g.node("MatMul", h, g.normal(inner, BANDS, scale=scale))), [1, "n", BANDS])


def cache_inputs(g, frames="past"):
    return [[g.input(f"past_{kind}_{layer}", F32, [1, 2, frames, 8]) for kind in "kv"] for layer in range(4)]


def flow2(path, seed, chunk, told, paired=False):
    """With `paired` what the caches become has their names, all keys before all values, while keys and values take turns among the inputs."""
    g, inner, n = Nodes(seed), 16, chunk + 4
    x, single = g.input("x", F32, [1, n, BANDS]), [1] if told else []
    t, r = g.input("t", F32, single), g.input("r", F32, single)
    cond, spks = g.input("cond", F32, [1, n, WIDTH]), g.input("spks", F32, [1, WIDTH])
    if told:
        offset = g.input("offset", I64, [])
    k, v = g.input("gtm_k", F32, [1, SLOTS, WIDTH]), g.input("gtm_v", F32, [1, SLOTS, WIDTH])
    past = cache_inputs(g)
    seen = g.node("MatMul", g.node("Softmax", g.mul(g.node("MatMul", cond, g.turn(k, 0, 2, 1)), 0.0625), axis=-1), v)
    h = g.add(g.node("MatMul", x, g.normal(BANDS, inner)), g.node("MatMul", g.add(cond, seen), g.normal(WIDTH, inner)))
    h = g.add(h, g.reshape(g.node("MatMul", spks, g.normal(WIDTH, inner, scale=0.3)), 1, 1, inner))
    now, new = moment(g, t, r, inner), []
    for layer, (back, on) in enumerate(zip([2, 2, 1, 1], [4, 0, 0, 0])):
        h = g.node("Tanh", g.add(h, now))
        made, kept = attention(g, h, inner, past[layer], chunk, back, on, 4, offset if told else None)
        new += [g.cut(part, -(back + 1) * chunk, 1 << 30, 2) for part in kept]
        h = g.add(h, made)
    velocity(g, x, h, inner)
    if paired:
        for kind, parts in zip("kv", (new[::2], new[1::2])):
            for layer, part in enumerate(parts):
                g.result(f"present_{kind}_{layer}", part, [1, 2, "kept", 8])
    else:
        for i, part in enumerate(new):
            g.result(f"new_{i}", part, [1, 2, "kept", 8])
    g.save(path, {})


def flow_fused(path, seed, chunk):
    """All of a painting, with one cache of a fixed size, as VoiceLab exports it."""
    g, inner, n, size = Nodes(seed), 16, chunk + 4, 3 * chunk
    x, cond, spk = g.input("x", F32, [1, n, BANDS]), g.input("cond", F32, [1, n, WIDTH]), g.input("spk", F32, [1, WIDTH])
    k, v = g.input("k_mem", F32, [1, SLOTS, WIDTH]), g.input("v_mem", F32, [1, SLOTS, WIDTH])
    kv, valid = g.input("kv", F32, [4, 2, 1, 2, size, 8]), g.input("kv_valid", I64, [])
    seen = g.node("MatMul", g.node("Softmax", g.mul(g.node("MatMul", cond, g.turn(k, 0, 2, 1)), 0.0625), axis=-1), v)
    said = g.add(g.node("MatMul", g.add(cond, seen), g.normal(WIDTH, inner)), g.reshape(g.node("MatMul", spk, g.normal(WIDTH, inner)), 1, 1, inner))
    place, key = np.arange(size + n), np.arange(size + n)[None]
    empty = g.node("Less", g.weight(place), g.node("Sub", g.weight(np.int64(size)), valid))
    mine, away = place[-n:, None] // chunk, place[-n:, None] // chunk - key // chunk
    into, first, out = g.normal(BANDS, inner), [[g.normal(inner, 16, scale=0.5) for _ in "qkv"] for _ in range(4)], g.normal(16, inner, scale=0.5)
    last, every = g.normal(inner, BANDS, scale=0.3), g.weight(place.astype(np.float32))
    for t, r in [(1.0, 0.5), (0.5, 0.0)]:
        h, new = g.add(g.node("MatMul", x, into), said), []
        for layer, (back, on) in enumerate(zip([2, 2, 1, 1], [4, 0, 0, 0])):
            h = g.node("Tanh", g.add(h, t + 0.3 * r))
            heads = lambda w: g.turn(g.reshape(g.node("MatMul", h, w), 1, n, 2, 8), 0, 2, 1, 3)
            old = lambda i: g.reshape(g.cut(g.cut(kv, layer, layer + 1, 0), i, i + 1, 1), 1, 2, size, 8)
            keys, values = (g.join(2, old(i), heads(first[layer][i + 1])) for i in range(2))
            new += [g.reshape(g.cut(part, chunk, chunk + size, 2), 1, 1, 1, 2, size, 8) for part in (keys, values)]
            queries = rotated(g, heads(first[layer][0]), g.weight(place[-n:].astype(np.float32)))
            scores = g.node("MatMul", queries, g.turn(rotated(g, keys, every), 0, 1, 3, 2))
            allowed = (away >= 0) & (away <= back) | (away == -1) & (key % chunk < on)
            scores = g.node("Where", g.node("Or", empty, g.weight(~allowed)), g.weight(np.float32(-1e9)), g.mul(scores, 0.1))
            made = g.turn(g.node("MatMul", g.node("Softmax", scores, axis=-1), values), 0, 2, 1, 3)
            h = g.add(h, g.node("MatMul", g.reshape(made, 1, n, 16), out))
        x = g.node("Sub", x, g.mul(g.add(g.mul(x, 0.8), g.node("MatMul", h, last)), t - r))
    g.result("mel", g.cut(x, 0, chunk, 1), [1, chunk, BANDS])
    g.result("kv_out", g.reshape(g.join(0, *new), 4, 2, 1, 2, size, 8), [4, 2, 1, 2, size, 8])
    g.save(path, {})


def flow1(path, seed, chunk):
    g, inner = Nodes(seed), 16
    x, t, r = g.input("x", F32, [1, chunk, BANDS]), g.input("t", F32, [1]), g.input("r", F32, [1])
    cond, spks = g.input("cond", F32, [1, chunk, WIDTH]), g.input("spks", F32, [1, WIDTH])
    prompts, cache, offset = g.input("prompts", F32, [1, "p", BANDS]), g.input("cache", F32, [1, "c", BANDS]), g.input("offset", I64, [])
    stacks = [g.input(f"kv_{kind}", F32, [4, 1, 2, "past", 8]) for kind in "kv"]
    past = [[g.node("Squeeze", g.cut(stack, layer, layer + 1, 0), g.ints(0)) for stack in stacks] for layer in range(4)]
    asked, found = g.node("MatMul", cond, g.normal(WIDTH, 8)), g.node("MatMul", prompts, g.normal(BANDS, 8, scale=0.4))
    seen = g.node("MatMul", g.node("Softmax", g.node("MatMul", asked, g.turn(found, 0, 2, 1)), axis=-1), g.node("MatMul", prompts, g.normal(BANDS, 8)))
    h = g.add(g.node("MatMul", x, g.normal(BANDS, inner)), g.node("MatMul", cond, g.normal(WIDTH, inner)))
    h = g.add(h, g.node("MatMul", seen, g.normal(8, inner, scale=0.6)))
    h = g.add(h, g.reshape(g.node("MatMul", spks, g.normal(WIDTH, inner, scale=0.3)), 1, 1, inner))
    # What was painted is heard softly: weights that are not trained would make chaos of it.
    h = g.join(1, g.node("MatMul", cache, g.normal(BANDS, inner, scale=0.03)), h)
    now, new = moment(g, t, r, inner), []
    for layer in range(4):
        h = g.node("Tanh", g.add(h, now))
        made, kept = attention(g, h, inner, past[layer], chunk, 5, 0, chunk, offset, 0.4)
        new.append(kept)
        h = g.add(h, made)
    velocity(g, x, g.cut(h, -chunk, 1 << 30, 1), inner, 0.1)
    for kind, parts in zip("kv", zip(*new)):
        g.result(f"kv_{kind}_out", g.join(0, *(g.node("Unsqueeze", part, g.ints(0)) for part in parts)), [4, 1, 2, "kept", 8])
    g.save(path, {})


def frames_to_sound(g, frames):
    """[T,320] → [1,160(T−1)]: each frame under a window, halves on halves."""
    frames = g.mul(frames, g.weight((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(320) / 320)).astype(np.float32)[None]))
    right = g.cut(g.cut(frames, 0, -1, 0), 160, 320, 1)
    left = g.cut(g.cut(frames, 1, 1 << 30, 0), 0, 160, 1)
    g.result("wav", g.reshape(g.add(right, left), 1, -1), [1, "samples"])


def vocoder(path, seed):
    g = Nodes(seed)
    h = g.node("Conv", g.input("mel", F32, [1, BANDS, "T"]), g.normal(6, BANDS, 3, scale=0.1), pads=[1, 1])
    h = g.node("Conv", g.node("Tanh", h), g.normal(320, 6, 1, scale=0.15))
    frames_to_sound(g, g.reshape(g.turn(h, 0, 2, 1), -1, 320))
    g.save(path, {})


def vocoder_of_spectra(path, seed):
    g = Nodes(seed)
    h = g.node("Tanh", g.node("Conv", g.input("mel", F32, [1, BANDS, "T"]), g.normal(6, BANDS, 3, scale=0.1), pads=[1, 1]))
    for part in ("real", "imag"):
        g.result(part, g.node("Conv", h, g.normal(321, 6, 1, scale=1.5)), [1, 321, "T"])
    g.save(path, {})


def fbank(path, seed):
    """Frames of 400 samples → something of 80 numbers: for where a graph lies beside the others that nobody runs."""
    g = Nodes(seed)
    few = g.node("MatMul", g.input("frames", F32, ["N", 400]), g.normal(400, 4, scale=0.1))
    g.result("features", g.node("MatMul", few, g.normal(4, BANDS)), ["N", BANDS])
    g.save(path, {})


def speaker(path, seed):
    g = Nodes(seed)
    h = g.node("Conv", g.reshape(g.input("wav", F32, [1, "T"]), 1, 1, -1), g.normal(8, 1, 160, scale=0.3), strides=[160])
    h = g.node("ReduceMean", g.node("Abs", h), axes=[2], keepdims=0)
    g.result("emb", g.node("Tanh", g.node("MatMul", h, g.normal(8, WIDTH, scale=1.0))), [1, WIDTH])
    g.save(path, {})
