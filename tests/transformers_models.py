"""Small random models of every family, made by transformers, beside the same models read by us."""

from typing import NamedTuple

import numpy as np
import torch
import transformers

from nsn_ref import ops
from nsn_ref.hf import read_model
from nsn_ref.hf.families import FAMILIES
from nsn_ref.hf.names import place, split
from nsn_ref.scalars import rows

transformers.logging.disable_progress_bar()

_GPT_NEOX = {
    "hidden_size": 18, "num_attention_heads": 3, "intermediate_size": 29, "num_hidden_layers": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100.0, "partial_rotary_factor": 0.7},
}  # fmt: skip
_QWEN2 = {
    "hidden_size": 24, "num_attention_heads": 6, "num_key_value_heads": 2, "intermediate_size": 29,
    "num_hidden_layers": 2, "tie_word_embeddings": False,
}  # fmt: skip

# name: model_type and what its configuration has beside the sizes that all share
CASES = {
    "gpt_neox": ("gpt_neox", _GPT_NEOX),
    "gpt_neox, sequential": ("gpt_neox", _GPT_NEOX | {"use_parallel_residual": False, "attention_bias": False}),
    "qwen2": ("qwen2", _QWEN2),
    "qwen2, tied": ("qwen2", _QWEN2 | {"tie_word_embeddings": True}),
    "qwen2, windows": (
        "qwen2", _QWEN2 | {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}
    ),
    "llama": (
        "llama",
        {"hidden_size": 20, "num_attention_heads": 5, "num_key_value_heads": 1, "head_dim": 6, "intermediate_size": 29,
         "num_hidden_layers": 2, "attention_bias": True, "mlp_bias": True},
    ),
    "gemma": (
        "gemma",
        {"hidden_size": 17, "num_attention_heads": 3, "num_key_value_heads": 1, "head_dim": 10, "intermediate_size": 29,
         "num_hidden_layers": 2},
    ),
    "gpt_neo": (
        "gpt_neo",
        {"hidden_size": 21, "num_heads": 3, "intermediate_size": 29, "num_layers": 2, "window_size": 3,
         "attention_types": [[["global", "local"], 1]]},
    ),
}  # fmt: skip
SHARED = {
    "vocab_size": 31,
    "max_position_embeddings": 23,
    "bos_token_id": None,
    "eos_token_id": None,
    "pad_token_id": None,
}


class Pair(NamedTuple):
    """One model, theirs and ours."""

    model: object  # of transformers, in evaluation mode
    decoder: object
    params: dict
    family: object

    def grads(self):
        """Their gradients under our names."""
        theirs = {name: p.grad.numpy() for name, p in self.model.named_parameters()}
        return {name: self._ours(theirs, name) for name in self.decoder.shapes()}

    def _ours(self, theirs, name):
        tensor, part = place(self.family, name)
        tensor = {"embed_out.weight": "lm_head.weight"}.get(tensor, tensor)  # its name in files
        return theirs[tensor] if part is None else split(theirs[tensor], part, self.decoder.config.heads)


def pair(case, folder, dtype, scale=0.3):
    """A model with normal weights of the given scale, biases and norms too; through its files on our side."""
    kind, options = CASES[case]
    config = transformers.AutoConfig.for_model(kind, **SHARED, **options)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    model = model.to(torch.float64 if dtype == np.float64 else torch.float32).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(scale * torch.randn(p.shape, generator=generator, dtype=torch.float64))
    model.save_pretrained(folder)
    return Pair(model, *read_model(folder, dtype), FAMILIES[kind])


def batch(rng, n, T, padding=None):
    """Tokens, a mask with padding on the given side, and labels.

    Some labels do not count: at random, at padding, and after it, where padding would have to predict.
    """
    tokens = rng.integers(0, SHARED["vocab_size"], (n, T))
    mask = np.ones((n, T), dtype=bool)
    for i in range(n if padding else 0):
        mask[i, slice(0, i) if padding == "left" else slice(T - i, T)] = False
    counted = rng.random((n, T)) < 0.8
    counted[:, T // 2] = True  # one of each sequence at least
    counted &= mask
    counted[:, 1:] &= mask[:, :-1]
    return tokens, mask, np.where(counted, tokens, -100)


def run(model, tokens, mask, labels):
    """Their logits and loss; gradients are left in the parameters."""
    model.zero_grad()
    out = model(
        input_ids=torch.from_numpy(tokens), attention_mask=torch.from_numpy(mask).long(),
        labels=torch.from_numpy(labels),
    )  # fmt: skip
    out.loss.backward()
    return out.logits.detach().numpy(), out.loss.item()


class Magnitudes:
    """Operations whose gradients of parameters are sums of the absolute values of their terms.

    What a layer reads, and the cotangents that reach it, are made of terms themselves, which may cancel: the largest
    number of a vector stands for all of that vector.
    """

    def __getattr__(self, name):
        return getattr(ops, name)

    def dense_backward(self, dy, saved):
        dx, _, _ = ops.dense_backward(dy, saved)
        dy = rows(largest(dy))
        return dx, dy.T @ rows(largest(saved.x)), dy.sum(axis=0)

    def layer_norm_backward(self, dy, saved):
        dx, _, _ = ops.layer_norm_backward(dy, saved)
        return dx, rows(largest(dy) * largest(saved.x_hat)).sum(axis=0), rows(largest(dy)).sum(axis=0)

    def rms_norm_backward(self, dy, saved):
        dx, _ = ops.rms_norm_backward(dy, saved)
        return dx, rows(largest(dy) * largest(saved.x_hat)).sum(axis=0)

    def embedding_backward(self, dy, saved):
        return ops.embedding_backward(largest(dy), saved)


def largest(x):
    """The largest absolute value along the last axis, everywhere along it."""
    return np.broadcast_to(np.abs(x).max(axis=-1, keepdims=True), x.shape)


class Moved:
    """Operations each of whose numbers is moved by a share of itself, up or down at random.

    A sum of L products in a format with unit roundoff u is off by u times each of its partial sums, at random; no
    partial sum has more than sqrt(L) times the 2-norm of the products, so the mean square of the error is at most that
    of moving each product by L u. Elementary functions are off by a few u.
    """

    def __init__(self, rng, share):
        self.rng, self.share = rng, share

    def __getattr__(self, name):
        function = getattr(ops, name)
        return lambda *arguments, **options: function(*map(self._move, arguments), **options)

    def _move(self, x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            return x
        return x * (1 + self.share * self.rng.choice([-1.0, 1.0], x.shape))
