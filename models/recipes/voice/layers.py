"""The layer that encoder and decoder share: blocks of a depthwise convolution in time and a two-layer mix of channels (Liu et al. 2022, "A ConvNet for the 2020s"), whose past is a cache, so that a
stream may be cut anywhere. Knows no network."""

import torch
import torch.nn.functional as F
from torch import nn

KERNEL = 7  # taps of a block at or before a frame


class DepthwiseConvolution(torch.autograd.Function):
    """A depthwise convolution over time of [batch, n + (taps - 1) * dilation, channels]; weight [channels, taps]. Its own backward pass: that of oneDNN takes ten times as
    long as the two products it is."""

    @staticmethod
    def forward(ctx, x, weight, dilation):
        weight = weight.to(x.dtype)  # where layers run in bfloat16 the activations are
        ctx.save_for_backward(x, weight)
        ctx.dilation = dilation
        return DepthwiseConvolution.run(x, weight, dilation)

    @staticmethod
    def run(x, weight, dilation):
        image = x.transpose(1, 2).unsqueeze(2)  # one row high
        return F.conv2d(image, weight[:, None, None], dilation=(1, dilation), groups=weight.shape[0]).squeeze(2).transpose(1, 2)

    @staticmethod
    def backward(ctx, gradient):
        x, weight = ctx.saved_tensors
        n, taps, d = gradient.shape[1], weight.shape[1], ctx.dilation
        to_x = DepthwiseConvolution.run(F.pad(gradient, (0, 0, (taps - 1) * d, (taps - 1) * d)), weight.flip(1), d)
        to_weight = torch.stack([(gradient * x[:, k * d : k * d + n]).sum((0, 1), dtype=torch.float32) for k in range(taps)], 1)
        return to_x, to_weight, None


class Block(nn.Module):
    """A depthwise convolution over time, a norm, a two-layer mix; residual. `farthest` taps may lie in the future, of which a mode uses the first few.

    With `both` the taps lie half to each side: for the encoder that tells what the labels allow at all. With `voice` numbers of a voice, `modulate` makes of them a scale and a shift of
    what is normalised (Perez et al. 2018), which are the same in every frame: the caller computes them once. In training a share `drop` of the mixed channels is left out, for a whole item each: numbers drawn anew for each frame would cost a third of a step.
    """

    def __init__(self, width, dilation, farthest=0, both=False, voice=0, drop=0.0):
        super().__init__()
        self.dilation, self.both, self.drop = dilation, both, drop
        self.modulate = nn.Linear(voice, 2 * width) if voice else None
        self.time = nn.Conv1d(width, width, KERNEL + farthest, dilation=dilation, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen, self.narrow = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def history(self, ahead=0):
        """Frames of input that a call needs from before."""
        return (KERNEL - 1 + ahead) * self.dilation

    def forward(self, x, cache, ahead=0, modulation=None):
        """x [batch, n, width], modulation [batch, 2 * width] what `modulate` gave, cache [batch, history, width]. The output is `ahead` taps behind the input, with `both` level with it."""
        n, before = x.shape[1], (KERNEL - 1) * self.dilation
        if self.both:
            side = KERNEL // 2 * self.dilation
            joined, skip = F.pad(x, (0, 0, side, side)), x
        else:
            joined = torch.cat([cache.to(x.dtype), x], 1)
            skip = joined[:, before : before + n] if ahead else x
        taps = self.time.weight[:, 0, : KERNEL + (0 if self.both else ahead)]
        h = self.norm(DepthwiseConvolution.apply(joined, taps, self.dilation) + self.time.bias)
        if modulation is not None:
            scale, shift = modulation.unsqueeze(1).chunk(2, -1)
            h = h * (1 + scale) + shift
        h = F.gelu(self.widen(h))
        if self.training and self.drop:
            h = h * ((torch.rand(h.shape[0], 1, h.shape[2], device=h.device) >= self.drop) / (1 - self.drop)).to(h.dtype)
        return skip + self.narrow(h), None if self.both else joined[:, joined.shape[1] - cache.shape[1] :]
