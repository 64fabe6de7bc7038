#!/usr/bin/env python3
"""export.py RUN encoder.bin --model FOLDER: the averaged encoder of a run as half floats, in the layout of the file that it was trained from (CTranslate2's, version 6).

The pack's builder puts these variables in the place of those of the published file (models/whisper-tiny-en/pack.toml); what isn't in it stays as published.
"""

import argparse
import pathlib
import struct

import numpy as np
import torch

from whisper import Encoder, variables

SPEC, VERSION, REVISION, F16 = "WhisperSpec", 6, 3, 4


def text(s):
    raw = s.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def names(encoder):
    """{name in the file: tensor} of all that was trained."""
    out = {}
    for i, conv in enumerate(encoder.stem, 1):
        out |= {f"encoder/conv{i}/weight": conv.weight, f"encoder/conv{i}/bias": conv.bias}
    for i, layer in enumerate(encoder.layers):
        at = f"encoder/layer_{i}"
        for name, part in (("self_attention/layer_norm", layer.self_norm), ("ffn/layer_norm", layer.wide_norm)):
            out |= {f"{at}/{name}/gamma": part.weight, f"{at}/{name}/beta": part.bias}
        for name, part in (("self_attention/linear_0", layer.ask), ("self_attention/linear_1", layer.answer), ("ffn/linear_0", layer.widen), ("ffn/linear_1", layer.narrow)):
            out |= {f"{at}/{name}/weight": part.weight, f"{at}/{name}/bias": part.bias}
    return out | {"encoder/layer_norm/gamma": encoder.norm.weight, "encoder/layer_norm/beta": encoder.norm.bias}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=pathlib.Path)
    p.add_argument("out", type=pathlib.Path)
    p.add_argument("--model", type=pathlib.Path, required=True)
    o = p.parse_args()
    published = variables(o.model / "model.bin")
    encoder = Encoder(published)
    encoder.load_state_dict(torch.load(o.run / "checkpoint.pt", weights_only=False)["average"])
    held = sorted(names(encoder).items())
    raw = struct.pack("<I", VERSION) + text(SPEC) + struct.pack("<II", REVISION, len(held))
    for name, tensor in held:
        values = tensor.detach().numpy().astype(np.float16)
        assert values.shape == published[name].shape, name
        raw += text(name) + struct.pack("<B", values.ndim) + struct.pack(f"<{values.ndim}I", *values.shape)
        raw += struct.pack("<BI", F16, values.nbytes) + values.tobytes()
    o.out.write_bytes(raw + struct.pack("<I", 0))
    print(f"{o.out}: {len(held)} variables, {len(raw) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
