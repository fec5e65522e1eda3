"""Recurrences in eager PyTorch, with gradients by autograd: token by token, and in chunks of 64.

The chunked forms are the fastest that whole-tensor operations have: all chunks at once where nothing is carried between them,
and a scan over chunks for the state. Decays are divided by within a chunk, which gates near one allow.
"""

import torch

chunk_tokens = 64


def by_tokens(q, k, v, logDecay=None, a=None, b=None):
    state = torch.zeros(*q.shape[:2], q.shape[-1], v.shape[-1])
    decay = None if logDecay is None else logDecay.exp().unsqueeze(-1)
    outs = []
    for t in range(q.shape[2]):
        write = k[:, :, t, :, None] * v[:, :, t, None, :]
        if a is not None:
            read = b[:, :, t, None, :] @ state
            write = write + a[:, :, t, :, None] * read
        state = (state if decay is None else decay[:, :, t] * state) + write
        outs.append(q[:, :, t, None, :] @ state)
    return torch.cat(outs, 2)


def chunks_of(x):
    batch, heads, length, width = x.shape
    return x.view(batch, heads, length // chunk_tokens, chunk_tokens, width)


def by_chunks(q, k, v, logDecay=None, a=None, b=None):
    shape = v.shape
    q, k, v = chunks_of(q), chunks_of(k), chunks_of(v)
    if a is not None:
        return corrected_chunks(q, k, v, chunks_of(a), chunks_of(b)).view(shape)
    lower = torch.ones(chunk_tokens, chunk_tokens).tril()
    if logDecay is None:
        written = k.transpose(-1, -2) @ v
        before = torch.cumsum(written, 2) - written
        return ((q @ k.transpose(-1, -2) * lower) @ v + q @ before).view(shape)
    logs = chunks_of(logDecay).cumsum(-2)
    total = logs[..., -1:, :]
    q = q * logs.exp()
    written = (k * (total - logs).exp()).transpose(-1, -2) @ v
    factor = total.exp().transpose(-1, -2)
    states = [torch.zeros_like(written[:, :, 0])]
    for chunk in range(written.shape[2] - 1):
        states.append(factor[:, :, chunk] * states[-1] + written[:, :, chunk])
    pairs = q @ (k * (-logs).exp()).transpose(-1, -2) * lower
    return (pairs @ v + q @ torch.stack(states, 2)).view(shape)


def corrected_chunks(q, k, v, a, b):
    """c = (I - A)⁻¹(b·M + P·v) with A and P the pairs of b with a and k before it."""
    lower = torch.ones(chunk_tokens, chunk_tokens).tril()
    strictly = lower.tril(-1)
    system = torch.eye(chunk_tokens) - (b @ a.transpose(-1, -2)) * strictly
    right = torch.cat((b, ((b @ k.transpose(-1, -2)) * strictly) @ v), -1)
    solved = torch.linalg.solve_triangular(system, right, upper=False)
    reader, own = solved[..., : q.shape[-1]], solved[..., q.shape[-1] :]
    inside = (q @ k.transpose(-1, -2) * lower) @ v
    corrected = q @ a.transpose(-1, -2) * lower
    written = k.transpose(-1, -2) @ v
    state = torch.zeros_like(written[:, :, 0])
    outs = []
    for chunk in range(q.shape[2]):
        corrections = reader[:, :, chunk] @ state + own[:, :, chunk]
        outs.append(q[:, :, chunk] @ state + corrected[:, :, chunk] @ corrections)
        state = state + written[:, :, chunk] + a[:, :, chunk].transpose(-1, -2) @ corrections
    return inside + torch.stack(outs, 2)


forms = {"tokens": by_tokens, "chunks": by_chunks}


def recurrence_run(problem, inputs, form):
    """A function that runs the problem and returns out, and the gradients of all inputs where they are asked for."""
    shape = [problem[name] for name in ("batch", "heads", "length", "width")]
    recur = forms[form]
    named = {name: x.view(shape) for name, x in inputs.items() if name != "dOut"}

    def forward():
        with torch.inference_mode():
            return {"out": recur(**named)}

    def both():
        wanted = {name: x.detach().requires_grad_() for name, x in named.items()}
        out = recur(**wanted)
        gradients = torch.autograd.grad(out, list(wanted.values()), inputs["dOut"].view(shape))
        names = ["d" + name[0].upper() + name[1:] for name in wanted]
        return {"out": out.detach(), **dict(zip(names, gradients))}

    return both if problem["direction"] == "both" else forward
