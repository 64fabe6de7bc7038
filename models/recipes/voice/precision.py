"""Which precision a processor trains quickly in."""

import pathlib


def bfloat16_is_quick():
    """Whether the processor multiplies bfloat16 by itself; elsewhere PyTorch emulates it, some fifty times slower than float32."""
    cpu = pathlib.Path("/proc/cpuinfo")
    return cpu.exists() and any(flag in cpu.read_text() for flag in ("avx512_bf16", "amx_bf16"))
