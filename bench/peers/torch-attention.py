"""Attentions in eager PyTorch: scores, softmax, weighted mean, with gradients by autograd.

Each similarity has the form that was fastest in PyTorch: dot and l2 are one matrix product that starts from the mask, poincare is
one matrix product and an asinh, l1 is cdist. The mask is added, as a sum needs no pass of its own on the way back.
"""

import math

import torch


def product_with_mask(q, k, hidden):
    """q·kᵀ + mask as one call of the matrix product."""
    batch, heads, length, _ = q.shape
    start = hidden.expand(batch * heads, length, length)
    scores = torch.baddbmm(start, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
    return scores.view(batch, heads, length, length)


def dot(q, k, hidden):
    return product_with_mask(q * q.shape[-1] ** -0.5, k, hidden)


def l2(q, k, hidden):
    """−β‖q−k‖² without β‖q‖², which softmax does not see; β = 1/(2√D). The key's part is one more coordinate."""
    beta = 1 / (2 * math.sqrt(q.shape[-1]))
    ones = torch.ones_like(q[..., :1])
    key_part = -beta * k.square().sum(-1, keepdim=True)
    return product_with_mask(torch.cat((2 * beta * q, ones), -1), torch.cat((k, key_part), -1), hidden)


def l1(q, k, hidden):
    return (torch.cdist(q, k, p=1) * -(q.shape[-1] ** -0.5)).add_(hidden)


def lift(x):
    """Space part and time of exp₀ x on the hyperboloid, at the distance 2‖x‖ from its origin."""
    norm = x.square().sum(-1, keepdim=True).sqrt()
    return x * (torch.sinh(2 * norm) / norm), torch.cosh(2 * norm)


def poincare(q, k, hidden):
    """−d, by the chord: (‖x−y‖_L/2)² = −(1 + ⟨x,y⟩_L)/2, d = 2·asinh(‖x−y‖_L/2)."""
    q_space, q_time = lift(q)
    k_space, k_time = lift(k)
    inner = torch.cat((q_space, -q_time), -1) @ torch.cat((-0.5 * k_space, -0.5 * k_time), -1).transpose(-1, -2)
    return torch.asinh((inner - 0.5).clamp_min_(1e-12).sqrt_()).mul_(-2).add_(hidden)


similarities = {"dot": dot, "l2": l2, "l1": l1, "poincare": poincare}


def attention_run(problem, inputs):
    """A function that runs the problem and returns out, and dq, dk, dv where they are asked for."""
    shape = [problem[name] for name in ("batch", "heads", "length", "width")]
    q, k, v = (inputs[name].view(shape) for name in ("q", "k", "v"))
    score = similarities[problem["similarity"]]
    hidden = torch.zeros(shape[2], shape[2])
    if problem["isCausal"]:
        hidden.masked_fill_(torch.ones(shape[2], shape[2], dtype=torch.bool).triu(1), -math.inf)

    def attend(q, k, v):
        return torch.softmax(score(q, k, hidden), -1) @ v

    def forward():
        with torch.inference_mode():
            return {"out": attend(q, k, v)}

    def both():
        wanted = [x.detach().requires_grad_() for x in (q, k, v)]
        out = attend(*wanted)
        dq, dk, dv = torch.autograd.grad(out, wanted, inputs["dOut"].view(shape))
        return {"out": out.detach(), "dq": dq, "dk": dk, "dv": dv}

    return both if problem["direction"] == "both" else forward
