"""A training step of the decoder of src/models/decoder.ts in eager PyTorch: RMSNorm, rotary attention, SwiGLU, a tied head,
cross-entropy, clipping by the global norm and AdamW. float32, as many threads as asked for.

It has the forms that were fastest: one product for q, k and v of a layer and one for gate and up, scores that start from the
mask, the optimiser's form for all tensors at once.
"""

import math

import torch
from torch import nn
from torch.nn import functional

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-5


class RmsNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + NORM_EPSILON) * self.weight


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Attention(nn.Module):
    def __init__(self, width, heads, deviation, residual):
        super().__init__()
        self.heads = heads
        self.project = nn.Parameter(torch.randn(3 * width, width) * deviation)
        self.merge = nn.Parameter(torch.randn(width, width) * residual)

    def forward(self, x, cos, sin, hidden):
        batch, length, width = x.shape
        head_width = width // self.heads
        parts = functional.linear(x, self.project).view(batch, length, 3, self.heads, head_width)
        q, k, v = (part.flatten(0, 1) for part in parts.permute(2, 0, 3, 1, 4))
        start = hidden.expand(batch * self.heads, length, length)
        keys = rotate(k, cos, sin).transpose(-1, -2)
        scores = torch.baddbmm(start, rotate(q, cos, sin), keys, alpha=head_width**-0.5)
        mixed = torch.bmm(torch.softmax(scores, -1), v).view(batch, self.heads, length, head_width)
        return functional.linear(mixed.transpose(1, 2).reshape(batch, length, width), self.merge)


class FeedForward(nn.Module):
    def __init__(self, width, deviation, residual):
        super().__init__()
        hidden = 8 * math.ceil(width / 3)
        self.open = nn.Parameter(torch.randn(2 * hidden, width) * deviation)
        self.down = nn.Parameter(torch.randn(width, hidden) * residual)

    def forward(self, x):
        gate, up = functional.linear(x, self.open).chunk(2, -1)
        return functional.linear(functional.silu(gate) * up, self.down)


class Decoder(nn.Module):
    def __init__(self, vocabulary, width, layers, heads, length):
        super().__init__()
        deviation = 0.02 * math.sqrt(768 / width)
        residual = deviation / math.sqrt(2 * layers)
        self.table = nn.Parameter(torch.randn(vocabulary, width) * deviation)
        self.layers = nn.ModuleList(
            nn.ModuleList(
                (
                    RmsNorm(width),
                    Attention(width, heads, deviation, residual),
                    RmsNorm(width),
                    FeedForward(width, deviation, residual),
                )
            )
            for _ in range(layers)
        )
        self.norm = RmsNorm(width)
        half = width // heads // 2
        angle = torch.arange(length).unsqueeze(-1) * ROPE_BASE ** (-torch.arange(half) / half)
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())
        later = torch.ones(length, length, dtype=torch.bool).triu(1)
        self.register_buffer("hidden", torch.zeros(length, length).masked_fill_(later, -math.inf))

    def forward(self, tokens):
        x = functional.embedding(tokens, self.table)
        for attention_norm, attention, feed_forward_norm, feed_forward in self.layers:
            x = x + attention(attention_norm(x), self.cos, self.sin, self.hidden)
            x = x + feed_forward(feed_forward_norm(x))
        return functional.linear(self.norm(x), self.table)


def training_step(vocabulary, width, layers, heads, batch, length):
    """A function that takes one step on random tokens."""
    torch.manual_seed(1)
    model = Decoder(vocabulary, width, layers, heads, length)
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    gains = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": gains, "weight_decay": 0.0}],
        lr=1e-3,
        betas=(0.9, 0.95),
        foreach=True,
    )
    tokens = torch.randint(vocabulary, (batch, length + 1))

    def step():
        optimiser.zero_grad(set_to_none=True)
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.reshape(-1, vocabulary), tokens[:, 1:].reshape(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return loss

    return step
