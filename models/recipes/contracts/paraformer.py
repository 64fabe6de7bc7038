#!/usr/bin/env python3
"""paraformer.py: graphs of the streaming Paraformer contract with random weights, and what sherpa-onnx hears with them.

Writes tests/data/contracts/paraformer-*: `encoder.onnx`, `decoder.onnx`, `tokens.txt`, and `heard.json` with the tokens that sherpa-onnx gives for
tests/golden/reference.flac in blocks of 0.1 s. sherpa-onnx gives no times: those are of the reference here, in which a token's time is that of the
low-rate frame (60 ms) at which the sum of the weights reached 1 (Dong and Xu, "CIF: continuous integrate-and-fire for end-to-end speech
recognition", 2020). The reference hears what sherpa-onnx hears, or nothing is written.
pip: numpy==2.4.6 onnx onnxruntime==1.31.1 sherpa-onnx kaldi-native-fbank==1.23.0 soundfile==0.14.0
"""
import kaldi_native_fbank as knf
import numpy as np
import onnxruntime as ort
import sherpa_onnx
from graphs import F32, I32, I64, Graph, finish, fresh, listened, sound

BANDS, WINDOW, SHIFT = 80, 7, 6
WIDE = BANDS * WINDOW
CHUNK, LEFT, RIGHT = 61, 5, 3
# Silence behind the sound, in frames: a chunk, what a chunk leaves to the next, and what a frame reaches ahead.
TAIL = CHUNK + RIGHT * SHIFT + 2
BLANK, EOS = 0, 2


def vocabulary(count):
    """Like a bilingual one: pieces that go on (`@@`), words, characters."""
    names = ["<blank>", "<s>", "</s>"]
    letters = "aeioutnsrhld"
    while len(names) < count - 1:
        n = len(names)
        piece = letters[n % 12] + letters[n // 12 % 12] + letters[(n * 5 + 3) % 12]
        names.append([piece, piece + "@@", chr(0x4E00 + 37 * n)][n % 3])
    return names + ["<unk>"]


def encoder(path, seed, width, words, kernel, blocks, mean, scale):
    """speech [1, frames, 560], speech_lengths → enc [1, frames, width], enc_len, alphas [1, frames]."""
    g = Graph(seed)
    speech, length = g.input("speech", F32, ["batch", "frames", WIDE]), g.input("speech_lengths", I32, ["batch"])
    small = g.node("Mul", speech, g.weight(np.float32(width ** -0.5)))
    # What lies before a frame is heard in it, and a little of what follows.
    mixed = [small]
    for shift, share in ((1, 0.5), (3, -0.4), (-1, 0.3)):
        pads = [0, max(shift, 0), 0, 0, max(-shift, 0), 0]
        padded = g.node("Pad", small, g.weight(np.array(pads, np.int64)))
        begin, end = (0, -shift) if shift > 0 else (-shift, 1 << 30)
        cut = g.node("Slice", padded, *(g.weight(np.array([v], np.int64)) for v in (begin, end, 1)))
        mixed.append(g.node("Mul", cut, g.weight(np.float32(share))))
    total = mixed[0]
    for other in mixed[1:]:
        total = g.node("Add", total, other)
    hidden = g.node("Tanh", g.node("MatMul", total, g.normal(WIDE, width, scale=0.12)), name="enc")
    g.output("enc", F32, ["batch", "frames", width])
    g.node("Identity", length, name="enc_len")
    g.output("enc_len", I32, ["batch"])
    weights = g.node("Sigmoid", g.node("Sub", g.node("MatMul", hidden, g.normal(width, 1, scale=0.5)), g.weight(np.float32(0.6))))
    g.node("Squeeze", weights, g.weight(np.array([2], np.int64)), name="alphas")
    g.output("alphas", F32, ["batch", "frames"])
    told = {"model_type": "paraformer", "vocab_size": words, "lfr_window_size": WINDOW, "lfr_window_shift": SHIFT, "encoder_output_size": width,
            "decoder_num_blocks": blocks, "decoder_kernel_size": kernel, "neg_mean": mean, "inv_stddev": scale}
    g.save(path, told)


def decoder(path, seed, width, words, kernel, blocks, longer, silent):
    """enc, enc_len, acoustic_embeds, acoustic_embeds_len and caches → logits, sample_ids and caches: the last kernel − 1 columns, or with
    `longer` all that there are, of which the last are to be kept. `silent` tokens are never said."""
    g = Graph(seed)
    enc, enc_len = g.input("enc", F32, ["batch", "frames", width]), g.input("enc_len", I32, ["batch"])
    embeds, count = g.input("acoustic_embeds", F32, ["batch", "tokens", width]), g.input("acoustic_embeds_len", I32, ["batch"])
    mean = g.node("ReduceMean", enc, axes=[1], keepdims=1)
    share = g.node("Div", g.node("Cast", count, to=F32), g.node("Cast", enc_len, to=F32))
    x = g.node("Add", embeds, g.node("Mul", mean, g.node("Sin", share)))
    news = []
    for block in range(blocks):
        cache = g.input(f"in_cache_{block}", F32, ["batch", width, "kept" if longer else kernel - 1])
        rows = g.node("Transpose", x, perm=[0, 2, 1])
        one = g.weight(np.array([2], np.int64))
        kept = g.node("Slice", cache, g.weight(np.array([1 - kernel], np.int64)), g.weight(np.array([1 << 30], np.int64)), one)
        both = g.node("Concat", kept, rows, axis=2)
        news.append(both)
        # A convolution of each channel by itself over the last `kernel` tokens, as the memory of a SAN-M block is.
        heard = g.node("Conv", both, g.normal(width, 1, kernel, scale=0.4), group=width)
        x = g.node("Tanh", g.node("Add", x, g.node("MatMul", g.node("Transpose", heard, perm=[0, 2, 1]), g.normal(width, width))))
    bias = np.zeros(words, np.float32)
    bias[[BLANK, EOS]] = 0.3
    bias[silent] = -100
    g.node("Add", g.node("MatMul", x, g.normal(width, words, scale=2.5 * width ** -0.5)), g.weight(bias), name="logits")
    g.output("logits", F32, ["batch", "tokens", words])
    g.node("ArgMax", "logits", axis=-1, keepdims=0, name="sample_ids")
    g.output("sample_ids", I64, ["batch", "tokens"])
    for block, both in enumerate(news):
        name = f"out_cache_{block}"
        if longer:
            g.node("Identity", both, name=name)
        else:
            ends = (g.weight(np.array([v], np.int64)) for v in (1 - kernel, 1 << 30, 2))
            g.node("Slice", both, *ends, name=name)
        g.output(name, F32, ["batch", width, "kept" if longer else kernel - 1])
    g.save(path, {})


def features(samples):
    o = knf.FbankOptions()
    o.frame_opts.dither, o.frame_opts.snip_edges, o.frame_opts.window_type = 0, True, "hamming"
    o.mel_opts.num_bins, o.mel_opts.high_freq = BANDS, 0
    fbank = knf.OnlineFbank(o)
    fbank.accept_waveform(16000, samples * 32768)
    fbank.input_finished()
    return np.stack([fbank.get_frame(t) for t in range(fbank.num_frames_ready)])


def stretch(rows, mean, scale, width, first):
    """Seven frames side by side each six, normalised, with FunASR's sinusoids of positions from 1."""
    count = (len(rows) - WINDOW) // SHIFT + 1
    out = np.stack([rows[i * SHIFT:i * SHIFT + WINDOW].reshape(-1) for i in range(count)])
    out = (out + mean) * scale * np.float32(width ** 0.5)
    rates = np.exp(np.arange(WIDE // 2) * -np.log(10000) / (WIDE // 2 - 1))
    angles = (np.arange(count)[:, None] + 1 + first) * rates
    return (out + np.concatenate([np.sin(angles), np.cos(angles)], 1)).astype(np.float32)


def heard(folder, width, kernel, blocks, mean, scale):
    encode, decode = (ort.InferenceSession(folder / f"{name}.onnx", providers=["CPUExecutionProvider"]) for name in ("encoder", "decoder"))
    rows = features(sound(TAIL))
    before, total, part = np.zeros((LEFT + RIGHT, WIDE), np.float32), 0.0, np.zeros(width, np.float32)
    caches = [np.zeros((1, width, kernel - 1), np.float32)] * blocks
    tokens, times, at = [], [], 0
    while at + CHUNK < len(rows):
        low = at // SHIFT
        new = stretch(rows[at:at + CHUNK], mean, scale, width, low)
        x = np.concatenate([before, new])
        before = x[-len(before):]
        enc, enc_len, alphas = encode.run(None, {"speech": x[None], "speech_lengths": np.array([len(x)], np.int32)})
        alphas[:, :LEFT] = 0
        alphas[:, -RIGHT:] = 0
        fired, when = [], []
        for i, (row, alpha) in enumerate(zip(enc[0], alphas[0])):
            if total + alpha < 1:
                total += alpha
                part = part + row * alpha
                continue
            fired.append(part + row * np.float32(1 - total))
            when.append(round(max(low + i - LEFT - RIGHT, 0) * SHIFT / 100, 4))
            total += alpha - 1
            part = row * np.float32(total)
        if fired:
            inputs = [enc, enc_len, np.stack(fired)[None], np.array([len(fired)], np.int32), *caches]
            _, ids, *caches = decode.run(None, dict(zip((i.name for i in decode.get_inputs()), inputs)))
            for token, time in zip(ids[0].tolist(), when):
                if token not in (BLANK, EOS):
                    tokens.append(token), times.append(time)
        at += CHUNK - 1
    return {"tokens": tokens, "times": times}


def sherpa(folder, names):
    files = {part: str(folder / f"{part}.onnx") for part in ("encoder", "decoder")}
    recognizer = sherpa_onnx.OnlineRecognizer.from_paraformer(tokens=str(folder / "tokens.txt"), num_threads=1, **files)
    stream = listened(recognizer, TAIL)
    return [names.index(token) for token in recognizer.tokens(stream)], recognizer.get_result(stream)


def model(name, seed, width, words, kernel, blocks, longer, silent):
    names = vocabulary(words)
    folder = fresh(name, names)
    random = np.random.default_rng(seed)
    # As means and deviations of log mels over speech are: around 10 and 2, in the scale of 16-bit samples.
    mean = (-10 + random.standard_normal(WIDE)).astype(np.float32).round(3)
    scale = (0.5 + 0.05 * random.standard_normal(WIDE)).astype(np.float32).round(4)
    encoder(folder / "encoder.onnx", seed + 1, width, words, kernel, blocks, mean.tolist(), scale.tolist())
    decoder(folder / "decoder.onnx", seed + 2, width, words, kernel, blocks, longer, silent)
    ours = heard(folder, width, kernel, blocks, mean, scale)
    theirs, text = sherpa(folder, names)
    assert ours["tokens"] == [token for token in theirs if token != EOS], f"sherpa-onnx hears {theirs}"
    # It writes `</s>` into its text: only what is without one is text.
    assert (EOS in theirs) != (EOS in silent), "the end of a sentence is said, or silent"
    finish(folder, ours if EOS in theirs else {**ours, "text": " ".join(text.split())})


for n, settings in enumerate([(24, 60, 11, 2, False, [1, EOS, 59]), (32, 48, 6, 3, True, [1])], 1):
    model(f"paraformer-{n}", 700 + 10 * n, *settings)
