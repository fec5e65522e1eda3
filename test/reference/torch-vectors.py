"""Attentions written from their definitions in PyTorch, f64, with gradients by autograd: python3 torch-vectors.py.

Each case is one selector on the same q, k, v; the formulas here share no code with the library's.
"""

import json
import math
from pathlib import Path

import torch

torch.manual_seed(7)
torch.set_default_dtype(torch.float64)
B, H, G, Q, S, D, E, OFFSET = 1, 2, 1, 4, 5, 4, 3, 1
q, k, v = torch.randn(B, H, Q, D), torch.randn(B, G, S, D), torch.randn(B, G, S, E)
d_out = torch.randn(B, H, Q, E)


def pairs(q, k):
    return q.unsqueeze(-2) - k.unsqueeze(-3)


def time(x, c):
    return torch.sqrt(1 / c + (x * x).sum(-1))


def minkowski(q, k, c):
    return (q.unsqueeze(-2) * k.unsqueeze(-3)).sum(-1) - time(q, c).unsqueeze(-1) * time(k, c).unsqueeze(-2)


def ball(x, c):
    norm = math.sqrt(c) * x.norm(dim=-1, keepdim=True)
    return torch.tanh(norm) * x / norm


def poincare_distance(q, k, c):
    x, y = ball(q, c), ball(k, c)
    square = (pairs(x, y) ** 2).sum(-1)
    room = (1 - c * (x * x).sum(-1)).unsqueeze(-1) * (1 - c * (y * y).sum(-1)).unsqueeze(-2)
    return torch.arccosh(1 + 2 * c * square / room) / math.sqrt(c)


def hermitian(q, k):
    return torch.view_as_complex(q.reshape(*q.shape[:-1], -1, 2)) @ torch.view_as_complex(
        k.reshape(*k.shape[:-1], -1, 2)
    ).conj().transpose(-1, -2)


def rope(x, first, theta=10000.0):
    half = D // 2
    angle = (first + torch.arange(x.shape[-2])).unsqueeze(-1) * theta ** (-2 * torch.arange(half) / D)
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), -1)


def squared(q, k):
    return (pairs(q, k) ** 2).sum(-1)


def hilbert(q, k):
    return pairs(q, k).amax(-1) - pairs(q, k).amin(-1)


root = math.sqrt(D)
scores = {
    "dot": lambda q, k: q @ k.transpose(-1, -2) / root,
    "l2:beta=0.7": lambda q, k: -0.7 * squared(q, k),
    "rbf:sigma=1.3": lambda q, k: -squared(q, k) / (2 * 1.3**2),
    "l1": lambda q, k: -pairs(q, k).abs().sum(-1) / root,
    "cauchy:beta=2,tau=3": lambda q, k: -2 * torch.log1p(squared(q, k) / 3),
    "cosine:beta=5": lambda q, k: 5 * torch.nn.functional.cosine_similarity(q.unsqueeze(-2), k.unsqueeze(-3), -1),
    "lorentz:c=0.5": lambda q, k: (2 / 0.5 + 2 * minkowski(q, k, 0.5)) / root,
    "lorentz-distance:c=2": lambda q, k: -torch.arccosh(-2 * minkowski(q, k, 2.0)) / math.sqrt(2),
    "poincare:c=0.3,beta=1.5": lambda q, k: -1.5 * poincare_distance(q, k, 0.3),
    "complex:part=im": lambda q, k: hermitian(q, k).imag / root,
    "complex:part=abs": lambda q, k: hermitian(q, k).abs() / root,
    "tropical": lambda q, k: -hilbert(q, k) / root,
    "product:members=l2/lorentz-distance,weights=fixed": lambda q, k: (
        -squared(q[..., :2], k[..., :2]) / (2 * math.sqrt(2))
        - torch.arccosh(-minkowski(q[..., 2:], k[..., 2:], 1.0))
    ),
}
delta = (torch.arange(Q) + OFFSET).unsqueeze(-1) - torch.arange(S)
causal = delta >= 0
slopes = torch.tensor([2 ** (-8 * (head + 1) / H) for head in range(H)]).view(1, H, 1, 1)


def softmax_mean(s, v):
    return torch.softmax(s, -1).nan_to_num(0) @ v, torch.logsumexp(s, -1)


def masked(s):
    return s.masked_fill(~causal, -torch.inf)


def centroid(s, v):
    total = torch.softmax(s, -1) @ torch.cat((time(v, 1.0).unsqueeze(-1), v), -1)
    length = torch.sqrt(total[..., :1] ** 2 - (total[..., 1:] ** 2).sum(-1, keepdim=True))
    return total[..., 1:] / length, torch.logsumexp(s, -1)


def top2(s):
    kept = torch.zeros_like(s, dtype=torch.bool).scatter(-1, s.topk(2, -1).indices, True)
    return s.masked_fill(~kept, -torch.inf)


dot, l2 = scores["dot"], lambda q, k: -squared(q, k) / (2 * root)
cases = {selector + "+causal": lambda q, k, v, score=score: softmax_mean(masked(score(q, k)), v) for selector, score in scores.items()}
cases |= {
    "dot+rope+causal": lambda q, k, v: softmax_mean(masked(dot(rope(q, OFFSET), rope(k, 0))), v),
    "l2+alibi+full": lambda q, k, v: softmax_mean(l2(q, k) - slopes * delta.abs(), v),
    "l2+window:w=2": lambda q, k, v: softmax_mean(l2(q, k).masked_fill(delta.abs() >= 2, -torch.inf), v),
    "dot+full+topk:k=2": lambda q, k, v: softmax_mean(top2(dot(q, k)), v),
    "dot+full+softmax:sink=0.5": lambda q, k, v: (
        torch.softmax(torch.cat((dot(q, k), torch.full((B, H, Q, 1), 0.5)), -1), -1)[..., :-1] @ v,
        torch.logsumexp(torch.cat((dot(q, k), torch.full((B, H, Q, 1), 0.5)), -1), -1),
    ),
    "l2+full+sigmoid": lambda q, k, v: (torch.sigmoid(l2(q, k) - math.log(S)) @ v, None),
    "dot+causal+none": lambda q, k, v: (dot(q, k).masked_fill(~causal, 0) @ v, None),
    "l2+causal+none:map=exp": lambda q, k, v: (l2(q, k).exp().masked_fill(~causal, 0) @ v, None),
    "lorentz+full+centroid": lambda q, k, v: centroid((2 + 2 * minkowski(q, k, 1.0)) / root, v),
    "tropical+full+maxplus": lambda q, k, v: ((scores["tropical"](q, k).unsqueeze(-1) + v.unsqueeze(-3)).amax(-2), None),
}


def flat(x):
    return {"shape": list(x.shape), "data": [float(number) for number in x.reshape(-1)]}


def run(attend):
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    shared = [inputs[0], inputs[1].expand(B, H, S, D), inputs[2].expand(B, H, S, E)]
    out, lse = attend(*shared)
    (out * d_out).sum().backward()
    gradients = {name: flat(x.grad) for name, x in zip(("dq", "dk", "dv"), inputs)}
    return {"out": flat(out.detach()), **({} if lse is None else {"lse": flat(lse.detach())}), **gradients}


vectors = {
    "torch": torch.__version__,
    "offset": OFFSET,
    "q": flat(q),
    "k": flat(k),
    "v": flat(v),
    "dOut": flat(d_out),
    "cases": {selector: run(attend) for selector, attend in cases.items()},
}
Path(__file__).with_suffix(".json").write_text(json.dumps(vectors) + "\n")
