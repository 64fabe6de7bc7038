#!/usr/bin/env python3
"""zipformer2.py FOLDER: a streaming zipformer2 transducer of a published size with random weights, for measuring time: `../evaluate/online.py`.

The sizes are those of sherpa-onnx-streaming-zipformer-en-2023-06-26 (icefall's `zipformer`, its defaults, causal, chunks of 32 frames, 128 frames of left
context). The layers do what icefall's do at the cost that they have (Yao and others, "Zipformer: a faster and better encoder for automatic speech
recognition", 2024): convolutions in front, stacks at lower rates, three feed-forwards, attention over cached keys shared by two values and the
non-linear one, two convolutions with caches. They leave out what costs next to nothing: balancers, bypasses, positional scores. About 65 M weights, 260 MB;
nothing of it is meant to be kept.
pip: numpy==2.4.6 onnx
"""
import pathlib
import sys

import numpy as np
from graphs import F32, I64, Graph, symbols
from icefall import decoder, joiner, zipformer2_states

SIZES = dict(encoder_dims=[192, 256, 384, 512, 384, 256], query_head_dims=[32] * 6, value_head_dims=[12] * 6, num_heads=[4, 4, 4, 8, 4, 4],
             num_encoder_layers=[2, 2, 3, 4, 3, 2], cnn_module_kernels=[31, 31, 15, 15, 15, 31], left_context_len=[128, 64, 32, 16, 32, 64])
FORWARD, LOWER = [512, 768, 1024, 1536, 1024, 768], [1, 2, 4, 8, 4, 2]
CHUNK, FRAMES, BANDS, STEPS, WIDTH, WORDS = 32, 45, 80, 16, 512, 500


class Layers(Graph):
    """What a zipformer2 is made of; sound goes through as [1, frames, numbers]."""

    def ints(self, *numbers):
        return self.weight(np.array(numbers, np.int64))

    def cut(self, x, begin, end, axis):
        return self.node("Slice", x, self.ints(begin), self.ints(end), self.ints(axis))

    def turn(self, x, *order):
        return self.node("Transpose", x, perm=list(order))

    def shape(self, x, *sizes):
        return self.node("Reshape", x, self.ints(*sizes))

    def linear(self, x, n, m):
        return self.node("Add", self.node("MatMul", x, self.normal(n, m)), self.weight(np.zeros(m, np.float32)))

    def swish(self, x):
        return self.node("Mul", x, self.node("Sigmoid", x))

    def norm(self, x):
        power = self.node("ReduceMean", self.node("Mul", x, x), axes=[-1], keepdims=1)
        return self.node("Div", x, self.node("Sqrt", self.node("Add", power, self.weight(np.float32(1e-3)))))

    def forward(self, x, dim, wide):
        return self.node("Add", x, self.linear(self.swish(self.linear(x, dim, wide)), wide, dim))

    def behind(self, name, shape, x, axis, keep):
        """What a cache holds and x behind it; the end of that is what it holds next."""
        both = self.node("Concat", self.input(name, F32, shape), x, axis=axis)
        self.node("Slice", both, self.ints(-keep), self.ints(1 << 30), self.ints(axis), name=f"new_{name}")
        self.output(f"new_{name}", F32, shape)
        return both

    def attention(self, x, t, dim, heads, query, left, name):
        """Shares of the frames before and of x, [heads, frames, left + frames]."""
        q = self.turn(self.shape(self.linear(x, dim, heads * query), t, heads, query), 1, 0, 2)
        keys = self.turn(self.linear(x, dim, heads * query), 1, 0, 2)
        keys = self.behind(name, [left, "N", heads * query], keys, 0, left)
        keys = self.turn(self.shape(keys, left + t, heads, query), 1, 2, 0)
        return self.node("Softmax", self.node("Mul", self.node("MatMul", q, keys), self.weight(np.float32(query ** -0.5))), axis=-1)

    def value(self, x, shares, t, dim, heads, value, left, name):
        values = self.behind(name, [left, "N", heads * value], self.turn(self.linear(x, dim, heads * value), 1, 0, 2), 0, left)
        values = self.turn(self.shape(values, left + t, heads, value), 1, 0, 2)
        heard = self.shape(self.turn(self.node("MatMul", shares, values), 1, 0, 2), 1, t, heads * value)
        return self.node("Add", x, self.linear(heard, heads * value, dim))

    def nonlinear(self, x, shares, t, dim, left, name):
        hidden = 3 * dim // 4
        three = self.linear(x, dim, 3 * hidden)
        gate, inner, outer = (self.cut(three, n * hidden, (n + 1) * hidden, 2) for n in range(3))
        inner = self.shape(self.node("Mul", self.node("Tanh", gate), inner), 1, 1, t, hidden)
        inner = self.shape(self.behind(name, [1, "N", left, hidden], inner, 2, left), 1, left + t, hidden)
        heard = self.node("MatMul", self.cut(shares, 0, 1, 0), inner)
        return self.node("Add", x, self.linear(self.node("Mul", heard, outer), hidden, dim))

    def convolution(self, x, dim, kernel, name):
        two = self.linear(x, dim, 2 * dim)
        gated = self.node("Mul", self.cut(two, 0, dim, 2), self.node("Sigmoid", self.cut(two, dim, 2 * dim, 2)))
        rows = self.turn(gated, 0, 2, 1)
        # Within a chunk it sees both sides, before it the cache alone.
        within = self.node("Conv", rows, self.normal(dim, 1, kernel, scale=kernel ** -0.5), group=dim, pads=[kernel // 2] * 2)
        both = self.behind(name, ["N", dim, kernel // 2], rows, 2, kernel // 2)
        before = self.node("Conv", both, self.normal(dim, 1, kernel // 2 + 1, scale=kernel ** -0.5), group=dim)
        return self.node("Add", x, self.linear(self.swish(self.turn(self.node("Add", within, before), 0, 2, 1)), dim, dim))

    def layer(self, x, t, stack, n):
        dim, heads = SIZES["encoder_dims"][stack], SIZES["num_heads"][stack]
        query, value = SIZES["query_head_dims"][stack], SIZES["value_head_dims"][stack]
        left, kernel, wide = SIZES["left_context_len"][stack], SIZES["cnn_module_kernels"][stack], FORWARD[stack]
        shares = self.attention(x, t, dim, heads, query, left, f"cached_key_{n}")
        x = self.forward(x, dim, wide * 3 // 4)
        x = self.nonlinear(x, shares, t, dim, left, f"cached_nonlin_attn_{n}")
        x = self.value(x, shares, t, dim, heads, value, left, f"cached_val1_{n}")
        x = self.convolution(x, dim, kernel, f"cached_conv1_{n}")
        x = self.forward(x, dim, wide)
        x = self.value(x, shares, t, dim, heads, value, left, f"cached_val2_{n}")
        x = self.convolution(x, dim, kernel, f"cached_conv2_{n}")
        return self.norm(self.forward(x, dim, wide * 5 // 4))

    def front(self, x):
        """Four frames' convolutions, [1, 45, 80] → [1, 16, 192]."""
        x = self.shape(self.node("Add", x, self.weight(np.float32(8))), 1, 1, FRAMES, BANDS)
        for n, m, strides, pads in ((1, 8, [1, 1], [0, 1, 0, 1]), (8, 32, [2, 2], [0] * 4), (32, 128, [1, 2], [0] * 4)):
            x = self.swish(self.node("Conv", x, self.normal(m, n, 3, 3, scale=(9 * n) ** -0.5), strides=strides, pads=pads))
        both = self.behind("embed_states", ["N", 128, 3, 19], self.cut(x, 0, STEPS, 2), 2, 3)
        both = self.node("Concat", both, self.cut(x, STEPS, STEPS + 3, 2), axis=2)
        wide = self.node("Conv", both, self.normal(128, 1, 7, 7, scale=1 / 7), group=128, pads=[0, 3, 0, 3])
        wide = self.swish(self.node("Conv", wide, self.normal(384, 128, 1, 1, scale=128 ** -0.5)))
        x = self.node("Add", self.cut(x, 0, STEPS, 2), self.node("Conv", wide, self.normal(128, 384, 1, 1, scale=384 ** -0.5)))
        return self.norm(self.linear(self.shape(self.turn(x, 0, 2, 1, 3), 1, STEPS, 128 * 19), 128 * 19, SIZES["encoder_dims"][0]))

    def fit(self, x, have, want):
        """Fewer or more numbers a frame."""
        return self.cut(x, 0, want, 2) if have > want else self.node("Pad", x, self.ints(0, 0, 0, 0, 0, want - have))


def encoder(path):
    g = Layers(1)
    x, n, dim = g.front(g.input("x", F32, ["N", FRAMES, BANDS])), 0, SIZES["encoder_dims"][0]
    for stack, lower in enumerate(LOWER):
        want, t = SIZES["encoder_dims"][stack], STEPS // lower
        x, dim = g.fit(x, dim, want), want
        slow = g.node("ReduceMean", g.shape(x, 1, t, lower, dim), axes=[2], keepdims=0)
        for _ in range(SIZES["num_encoder_layers"][stack]):
            slow, n = g.layer(slow, t, stack, n), n + 1
        again = g.node("Expand", g.shape(slow, 1, t, 1, dim), g.ints(1, t, lower, dim))
        x = g.norm(g.node("Add", x, g.shape(again, 1, STEPS, dim)))
    x = g.fit(x, dim, WIDTH)
    x = g.node("ReduceMean", g.shape(x, 1, STEPS // 2, 2, WIDTH), axes=[2], keepdims=0)
    g.node("MatMul", x, g.normal(WIDTH, WIDTH), name="encoder_out")
    count = g.input("processed_lens", I64, ["N"])
    g.node("Add", count, g.weight(np.int64(STEPS)), name="new_processed_lens")
    g.output("new_processed_lens", I64, ["N"])
    g.output("encoder_out", F32, ["N", STEPS // 2, WIDTH])
    # In icefall's order: layer for layer, then the front's.
    order = list(zipformer2_states(SIZES))
    g.inputs.sort(key=lambda i: ["x", *order].index(i.name))
    g.outputs.sort(key=lambda o: ["encoder_out", *(f"new_{name}" for name in order)].index(o.name))
    g.save(path, {"model_type": "zipformer2", "version": "1", **SIZES, "T": FRAMES, "decode_chunk_len": CHUNK})


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    encoder(folder / "encoder.onnx")
    decoder(folder / "decoder.onnx", 2, WORDS, 2, WIDTH)
    joiner(folder / "joiner.onnx", 3, WORDS, WIDTH, 1.2)
    names = [f"<{n}>" if n >= 140 else name for n, name in enumerate(symbols(140) + [""] * (WORDS - 140))]
    (folder / "tokens.txt").write_text("".join(f"{name} {n}\n" for n, name in enumerate(names)))


if __name__ == "__main__":
    main()
