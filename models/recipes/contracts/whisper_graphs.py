"""Whisper with random weights in three layouts: the graphs of sherpa-onnx's exporters, those of optimum's, and CTranslate2's model.bin.

All three are written from the same half floats, under the names that CTranslate2 has for them: `net()` makes them.
"""
import ctranslate2
import numpy as np

from ctranslate2.specs import WhisperSpec
from graphs import F32, I64, Graph
from onnx import TensorProto, helper

TEXT_ROOM = 64
INNER = 2


def net(seed, *, mels, dim, heads, encoder_layers, decoder_layers, context, words, said, end):
    """Random weights. `said` are the tokens that may come out; the pull towards the token `end` grows with the position."""
    r = np.random.default_rng(seed)
    w = {}

    def put(name, *shape, scale):
        w[name] = (r.standard_normal(shape) * scale).astype(np.float16)

    def linear(name, outputs, inputs, scale=1.0):
        put(f"{name}/weight", outputs, inputs, scale=scale * inputs ** -0.5)
        put(f"{name}/bias", outputs, scale=0.1)

    def norm(name):
        w[f"{name}/gamma"] = (1 + 0.1 * r.standard_normal(dim)).astype(np.float16)
        put(f"{name}/beta", dim, scale=0.1)

    put("encoder/conv1/weight", dim, mels, 3, scale=6 * (3 * mels) ** -0.5)
    put("encoder/conv1/bias", dim, scale=0.1)
    put("encoder/conv2/weight", dim, dim, 3, scale=6 * (3 * dim) ** -0.5)
    put("encoder/conv2/bias", dim, scale=0.1)
    turn = np.arange(context)[:, None] * 1e4 ** (-np.arange(dim // 2) / (dim // 2 - 1))
    w["encoder/position_encodings/encodings"] = np.concatenate([np.sin(turn), np.cos(turn)], 1).astype(np.float16)
    for i in range(encoder_layers):
        layer = f"encoder/layer_{i}"
        linear(f"{layer}/self_attention/linear_0", 3 * dim, dim)
        linear(f"{layer}/self_attention/linear_1", dim, dim, 0.5)
        linear(f"{layer}/ffn/linear_0", INNER * dim, dim)
        linear(f"{layer}/ffn/linear_1", dim, INNER * dim)
        norm(f"{layer}/self_attention/layer_norm")
        norm(f"{layer}/ffn/layer_norm")
    norm("encoder/layer_norm")
    for i in range(decoder_layers):
        layer = f"decoder/layer_{i}"
        linear(f"{layer}/self_attention/linear_0", 3 * dim, dim, 1.5)
        linear(f"{layer}/self_attention/linear_1", dim, dim, 0.7)
        linear(f"{layer}/attention/linear_0", dim, dim, 4.0)
        linear(f"{layer}/attention/linear_1", 2 * dim, dim, 2.0)
        linear(f"{layer}/attention/linear_2", dim, dim, 2.0)
        linear(f"{layer}/ffn/linear_0", INNER * dim, dim, 2.0)
        linear(f"{layer}/ffn/linear_1", dim, INNER * dim, 3.0)
        # GELU's mean isn't 0: sums of 0 keep it from favouring the same tokens at every step.
        second = w[f"{layer}/ffn/linear_1/weight"].astype(float)
        w[f"{layer}/ffn/linear_1/weight"] = (second - second.mean(1, keepdims=True)).astype(np.float16)
        for part in ("self_attention", "attention", "ffn"):
            norm(f"{layer}/{part}/layer_norm")
        # Whisper's keys have no bias.
        w[f"{layer}/self_attention/linear_0/bias"][dim:2 * dim] = 0
        w[f"{layer}/attention/linear_1/bias"][:dim] = 0
    for i in range(encoder_layers):
        w[f"encoder/layer_{i}/self_attention/linear_0/bias"][dim:2 * dim] = 0
    # A token that goes in is likeliest to come out, since the embeddings are those of both ends: the first layer turns it another way. With
    # GELU(a) - GELU(-a) = a its feed-forward part adds (Q - 1)a, which leaves about Qa.
    turned = np.linalg.qr(r.standard_normal((dim, dim)))[0] - np.eye(dim)
    w["decoder/layer_0/ffn/linear_0/weight"] = np.concatenate([np.eye(dim), -np.eye(dim)]).astype(np.float16)
    w["decoder/layer_0/ffn/linear_1/weight"] = (2.5 * np.concatenate([turned, -turned], 1)).astype(np.float16)
    norm("decoder/layer_norm")
    # What isn't to be said is short, so that it is never likeliest; the end lies in the way that the positions push.
    table = r.standard_normal((words, dim)) * 0.3
    table[said] *= 3.5
    push = r.standard_normal(dim)
    push *= dim ** 0.5 / np.linalg.norm(push)
    # The others neither gain nor lose by the push.
    table -= np.outer(table @ push, push) / (push @ push)
    table[end] = push
    positions = r.standard_normal((TEXT_ROOM, dim)) * 1.4 + push * np.maximum(0, np.arange(TEXT_ROOM) - 18)[:, None] * 1.5
    positions[:12] -= 1.5 * push
    w["decoder/embeddings/weight"], w["decoder/position_encodings/encodings"] = table.astype(np.float16), positions.astype(np.float16)
    return w


class Layers(Graph):
    """Whisper's layers as nodes; weights are half floats that the graph widens."""

    def __init__(self, w, heads, prefix="", outer=None):
        super().__init__(0)
        self.w, self.heads, self.prefix, self.outer = w, heads, prefix, outer or self
        self.dim = w["encoder/conv1/bias"].shape[0]
        self.known = {}

    def weight(self, array):
        if self.outer is not self:
            return self.outer.weight(array)
        return super().weight(array)

    def node(self, kind, *inputs, name=None, **attributes):
        name = name or f"{self.prefix}n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def ints(self, *values):
        return self.weight(np.array(values, np.int64))

    def number(self, value):
        return self.weight(np.float32(value))

    def half(self, name, turned=False, rows=None):
        """A weight, widened; of a fused one some rows."""
        known = self.outer.known
        key = (name, turned, rows)
        if key not in known:
            array = self.w[name]
            array = array if rows is None else array[rows[0]:rows[1]]
            known[key] = self.outer.weight(np.ascontiguousarray(array.T if turned else array))
        return self.node("Cast", known[key], to=F32)

    def linear(self, x, name, part=None):
        """`part` of so many rows of a layer that makes several things at once."""
        rows = None if part is None else (part * self.dim, (part + 1) * self.dim)
        y = self.node("MatMul", x, self.half(f"{name}/weight", True, rows))
        return self.node("Add", y, self.half(f"{name}/bias", False, rows))

    def norm(self, x, name):
        centred = self.node("Sub", x, self.node("ReduceMean", x, axes=[-1]))
        spread = self.node("ReduceMean", self.node("Mul", centred, centred), axes=[-1])
        spread = self.node("Sqrt", self.node("Add", spread, self.number(1e-5)))
        y = self.node("Mul", self.node("Div", centred, spread), self.half(f"{name}/gamma"))
        return self.node("Add", y, self.half(f"{name}/beta"))

    def gelu(self, x):
        y = self.node("Add", self.node("Erf", self.node("Div", x, self.number(2 ** 0.5))), self.number(1))
        return self.node("Mul", self.node("Mul", x, y), self.number(0.5))

    def split(self, x):
        """[N, n, D] → [N, H, n, S]."""
        x = self.node("Reshape", x, self.ints(0, 0, self.heads, self.dim // self.heads))
        return self.node("Transpose", x, perm=[0, 2, 1, 3])

    def attend(self, q, k, v, mask=None):
        """Heads of queries, keys and values → [N, n, D] and the weights [N, H, n, positions]."""
        scale = self.number((self.dim // self.heads) ** -0.25)
        k = self.node("Transpose", self.node("Mul", k, scale), perm=[0, 1, 3, 2])
        scores = self.node("MatMul", self.node("Mul", q, scale), k)
        weights = self.node("Softmax", self.node("Add", scores, mask) if mask else scores, axis=-1)
        y = self.node("Transpose", self.node("MatMul", weights, v), perm=[0, 2, 1, 3])
        return self.node("Reshape", y, self.ints(0, 0, self.dim)), weights

    def residual(self, x, y):
        return self.node("Add", x, y)

    def forward(self, x, layer):
        y = self.norm(x, f"{layer}/ffn/layer_norm")
        y = self.linear(self.gelu(self.linear(y, f"{layer}/ffn/linear_0")), f"{layer}/ffn/linear_1")
        return self.residual(x, y)

    def encode(self, mel, layers, whole):
        """[N, mels, T] → [N, T/2, D]."""
        x = mel
        for name, stride in (("conv1", 1), ("conv2", 2)):
            weight, bias = self.half(f"encoder/{name}/weight"), self.half(f"encoder/{name}/bias")
            x = self.gelu(self.node("Conv", x, weight, bias, kernel_shape=[3], pads=[1, 1], strides=[stride]))
        x = self.node("Transpose", x, perm=[0, 2, 1])
        places = self.half("encoder/position_encodings/encodings")
        if not whole:
            length = self.node("Gather", self.node("Shape", x), self.ints(1))
            places = self.node("Slice", places, self.ints(0), length, self.ints(0))
        x = self.node("Add", x, places)
        for i in range(layers):
            layer = f"encoder/layer_{i}"
            y = self.norm(x, f"{layer}/self_attention/layer_norm")
            q, k, v = (self.split(self.linear(y, f"{layer}/self_attention/linear_0", part)) for part in range(3))
            x = self.residual(x, self.linear(self.attend(q, k, v)[0], f"{layer}/self_attention/linear_1"))
            x = self.forward(x, layer)
        return self.norm(x, "encoder/layer_norm")

    def embed(self, tokens, start, end):
        x = self.node("Gather", self.half("decoder/embeddings/weight"), tokens)
        return self.node("Add", x, self.node("Slice", self.half("decoder/position_encodings/encodings"), start, end, self.ints(0)))

    def mask(self, count):
        """What the first so many tokens may look at: nothing later."""
        mask = self.weight(np.triu(np.full((TEXT_ROOM, TEXT_ROOM), -np.inf, np.float16), 1))
        mask = self.node("Slice", mask, self.ints(0, 0), self.node("Concat", count, count, axis=0), self.ints(0, 1))
        return self.node("Cast", mask, to=F32)

    def scores(self, x, name):
        x = self.norm(x, "decoder/layer_norm")
        return self.node("MatMul", x, self.node("Transpose", self.half("decoder/embeddings/weight"), perm=[1, 0]), name=name)

    def sherpa_encoder(self, layers, decoder_layers):
        mels = self.w["encoder/conv1/weight"].shape[1]
        x = self.encode(self.input("mel", F32, ["n_audio", mels, "T"]), layers, False)
        for part, name in enumerate(("n_layer_cross_k", "n_layer_cross_v")):
            all_layers = [self.linear(x, f"decoder/layer_{i}/attention/linear_1", part) for i in range(decoder_layers)]
            all_layers = [self.node("Unsqueeze", y, self.ints(0)) for y in all_layers]
            self.node("Concat", *all_layers, name=name, axis=0)
            self.output(name, F32, [decoder_layers, "n_audio", "T_half", self.dim])

    def sherpa_decoder(self, layers, alignment):
        dim, words = self.dim, self.w["decoder/embeddings/weight"].shape[0]
        tokens = self.input("tokens", I64, ["n_audio", "n_tokens"])
        caches = [self.input(f"in_n_layer_self_{p}_cache", F32, [layers, "n_audio", TEXT_ROOM, dim]) for p in "kv"]
        cross = [self.input(f"n_layer_cross_{p}", F32, [layers, "n_audio", "T", dim]) for p in "kv"]
        offset = self.input("offset", I64, [1])
        count = self.node("Gather", self.node("Shape", tokens), self.ints(1))
        end = self.node("Add", offset, count)
        x = self.embed(tokens, offset, end)
        # As it is exported: square over what is read, so that several tokens can only be read at the start.
        mask = self.mask(count)
        new, told = ([], []), []
        for i in range(layers):
            layer = f"decoder/layer_{i}"
            y = self.norm(x, f"{layer}/self_attention/layer_norm")
            q, *own = (self.linear(y, f"{layer}/self_attention/linear_0", part) for part in range(3))
            full = []
            for cache, now, kept in zip(caches, own, new):
                cache = self.node("Gather", cache, self.weight(np.int64(i)), axis=0)
                before = self.node("Slice", cache, self.ints(0), offset, self.ints(1))
                after = self.node("Slice", cache, end, self.ints(TEXT_ROOM), self.ints(1))
                full.append(self.node("Concat", before, now, axis=1))
                kept.append(self.node("Unsqueeze", self.node("Concat", full[-1], after, axis=1), self.ints(0)))
            y, _ = self.attend(self.split(q), self.split(full[0]), self.split(full[1]), mask)
            x = self.residual(x, self.linear(y, f"{layer}/self_attention/linear_1"))
            y = self.linear(self.norm(x, f"{layer}/attention/layer_norm"), f"{layer}/attention/linear_0")
            k, v = (self.split(self.node("Gather", c, self.weight(np.int64(i)), axis=0)) for c in cross)
            y, weights = self.attend(self.split(y), k, v)
            x = self.residual(x, self.linear(y, f"{layer}/attention/linear_2"))
            x = self.forward(x, layer)
            chosen = [h for of, h in alignment if of == i]
            if chosen:
                told.append(self.node("Gather", weights, self.ints(*chosen), axis=1))
        self.scores(x, "logits")
        self.output("logits", F32, ["n_audio", "n_tokens", words])
        for p, kept in zip("kv", new):
            self.node("Concat", *kept, name=f"out_n_layer_self_{p}_cache", axis=0)
            self.output(f"out_n_layer_self_{p}_cache", F32, [layers, "n_audio", TEXT_ROOM, dim])
        if told:
            self.node("Concat", *told, name="cross_attention_weights", axis=1)
            self.output("cross_attention_weights", F32, ["n_audio", len(alignment), "n_tokens", "T"])

    def optimum_encoder(self, layers):
        x = self.encode(self.input("input_features", F32, ["batch_size", "feature_size", "encoder_sequence_length"]), layers, True)
        self.node("Identity", x, name="last_hidden_state")
        self.output("last_hidden_state", F32, ["batch_size", "encoder_positions", self.dim])

    def branch(self, layers, cached, attention):
        """A decoder over outer inputs, with caches or without; outputs bear the branch's prefix."""
        count = self.node("Gather", self.node("Shape", "input_ids"), self.ints(1))
        start = self.node("Gather", self.node("Shape", "past_key_values.0.decoder.key"), self.ints(2)) if cached else self.ints(0)
        x = self.embed("input_ids", start, self.node("Add", start, count))
        mask = None if cached else self.mask(count)
        outputs, told = [], []
        for i in range(layers):
            layer = f"decoder/layer_{i}"
            y = self.norm(x, f"{layer}/self_attention/layer_norm")
            q, *own = (self.split(self.linear(y, f"{layer}/self_attention/linear_0", part)) for part in range(3))
            for p, part in enumerate(("key", "value")):
                name = f"{self.prefix}present.{i}.decoder.{part}"
                if cached:
                    own[p] = self.node("Concat", f"past_key_values.{i}.decoder.{part}", own[p], name=name, axis=2)
                else:
                    self.node("Identity", own[p], name=name)
                outputs.append(name)
            y, _ = self.attend(q, *own, mask)
            x = self.residual(x, self.linear(y, f"{layer}/self_attention/linear_1"))
            q = self.split(self.linear(self.norm(x, f"{layer}/attention/layer_norm"), f"{layer}/attention/linear_0"))
            cross = []
            for p, part in enumerate(("key", "value")):
                name = f"{self.prefix}present.{i}.encoder.{part}"
                if cached:
                    cross.append(f"past_key_values.{i}.encoder.{part}")
                    # A dummy: the caller keeps what the first run gave.
                    dummy = self.weight(np.zeros((0, self.heads, 1, self.dim // self.heads), np.float32))
                    self.node("Identity", dummy, name=name)
                else:
                    cross.append(self.split(self.linear("encoder_hidden_states", f"{layer}/attention/linear_1", p)))
                    self.node("Identity", cross[p], name=name)
                outputs.append(name)
            y, weights = self.attend(q, *cross)
            x = self.residual(x, self.linear(y, f"{layer}/attention/linear_2"))
            x = self.forward(x, layer)
            told.append(self.node("Identity", weights, name=f"{self.prefix}cross_attentions.{i}"))
        logits = self.scores(x, f"{self.prefix}logits")
        outputs = [logits, *outputs, *(told if attention else [])]
        infos = [helper.make_tensor_value_info(name, F32, None) for name in outputs]
        return helper.make_graph(self.nodes, f"{self.prefix}branch", [], infos)

    def optimum_decoder(self, layers, attention):
        words, size = self.w["decoder/embeddings/weight"].shape[0], self.dim // self.heads
        self.input("input_ids", I64, ["batch_size", "decoder_sequence_length"])
        self.input("encoder_hidden_states", F32, ["batch_size", "encoder_positions", self.dim])
        names = [f"{i}.{side}.{part}" for i in range(layers) for side in ("decoder", "encoder") for part in ("key", "value")]
        for name in names:
            length = "past_decoder_sequence_length" if "decoder" in name else "encoder_sequence_length_out"
            self.input(f"past_key_values.{name}", F32, ["batch_size", self.heads, length, size])
        self.input("use_cache_branch", TensorProto.BOOL, [1])
        then = Layers(self.w, self.heads, "cached/", self).branch(layers, True, attention)
        other = Layers(self.w, self.heads, "first/", self).branch(layers, False, attention)
        outputs = ["logits", *(f"present.{i}.{side}.{part}" for i in range(layers) for side in ("decoder", "encoder") for part in ("key", "value"))]
        outputs += [f"cross_attentions.{i}" for i in range(layers)] if attention else []
        self.nodes.append(helper.make_node("If", ["use_cache_branch"], outputs, then_branch=then, else_branch=other))
        self.output("logits", F32, ["batch_size", "decoder_sequence_length", words])
        for name in outputs[1:1 + len(names)]:
            self.output(name, F32, ["batch_size_out", self.heads, "length_out", size])
        for name in outputs[1 + len(names):]:
            self.output(name, F32, ["batch_size", self.heads, "decoder_sequence_length", "encoder_positions"])


def ct2(folder, w, heads, encoder_layers, decoder_layers, tokens, config):
    """model.bin, config.json and vocabulary.json, by CTranslate2's own writer."""
    spec = WhisperSpec(encoder_layers, heads, decoder_layers, heads)
    for name, array in w.items():
        at, *path = spec, *name.split("/")
        for step in path[:-1]:
            base, _, index = step.rpartition("_")
            at = getattr(at, base)[int(index)] if index.isdigit() and hasattr(at, base) and isinstance(getattr(at, base), list) else getattr(at, step)
        setattr(at, path[-1], array)
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    spec.decoder.scale_embeddings = False
    for key, value in config.items():
        setattr(spec.config, key, value)
    spec.register_vocabulary(tokens)
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(folder))
