"""What a decoder is made of: one set of fields in which the families are configurations."""

import functools
from dataclasses import dataclass

from nsn_ref import checks
from nsn_ref.errors import OptionError
from nsn_ref.plain import make_plain

ACTIVATIONS = ("gelu", "gelu_tanh", "silu")
NORMS = ("layer_norm", "rms_norm")


@dataclass(frozen=True)
class DecoderConfig:
    """Sizes and choices of a decoder.

    Parameters
    ----------
    vocabulary : int, >= 1
        Number of tokens.
    hidden : int, >= 1
        Width of the residual stream.
    intermediate : int, >= 1
        Width inside an MLP.
    blocks : int, >= 1
    heads : int, >= 1
        Query heads.
    context : int, >= 1
        The most positions of a sequence.
    kv_heads : int, optional
        Key and value heads, a divisor of `heads`. Default: as many.
    head_dim : int, optional
        Width of a head. Default: hidden / heads.
    activation : {"gelu", "gelu_tanh", "silu"}
        Inside an MLP.
    gated : bool
        Whether an MLP multiplies two projections, one of them activated.
    norm : {"layer_norm", "rms_norm"}
    norm_offset : float
        Added to the weight of every norm.
    eps : float, > 0
        Of every norm.
    rotary : int, >= 0, even
        Coordinates of a head that are rotated by their position; 0: none.
    rotary_base : float, > 0
    parallel : bool
        Whether the MLP of a block reads the block's input, instead of what attention made of it.
    qkv_bias, out_bias, mlp_bias, head_bias : bool
        Whether there are biases: of queries, keys and values; of what attention gives; of an MLP; of the head.
    tied : bool
        Whether the head's matrix is the embedding's.
    embedding_scale : float, > 0
        Factor of the embedding of tokens.
    attention_scale : float, optional
        Factor of inner products of queries and keys. Default: 1 / sqrt(head_dim).
    windows : tuple of int or None, optional
        How many of the latest positions each block's attention sees; None: all. Default: all, in every block.
    learned_positions : bool
        Whether an embedding of positions is added.
    nested : tuple of (str, int)
        Keys of the nested layers, of those in `linear_layers`, each with the number R of its components.

    Raises
    ------
    OptionError

    Notes
    -----
    Source: of the parts, GPT-NeoX (arXiv:2204.06745), Qwen2 (arXiv:2407.10671), Gemma (arXiv:2403.08295), Llama
    (arXiv:2302.13971) and GPT-Neo, as `transformers` runs them.
    """

    vocabulary: int
    hidden: int
    intermediate: int
    blocks: int
    heads: int
    context: int
    kv_heads: int | None = None
    head_dim: int | None = None
    activation: str = "gelu"
    gated: bool = False
    norm: str = "layer_norm"
    norm_offset: float = 0.0
    eps: float = 1e-5
    rotary: int = 0
    rotary_base: float = 10000.0
    parallel: bool = False
    qkv_bias: bool = True
    out_bias: bool = True
    mlp_bias: bool = True
    head_bias: bool = False
    tied: bool = False
    embedding_scale: float = 1.0
    attention_scale: float | None = None
    windows: tuple | None = None
    learned_positions: bool = False
    nested: tuple = ()

    def __post_init__(self):
        make_plain(self)
        for name in ("vocabulary", "hidden", "intermediate", "blocks", "heads", "context"):
            checks.integer("DecoderConfig", name, getattr(self, name), 1)
        if self.kv_heads is None:
            object.__setattr__(self, "kv_heads", self.heads)
        if self.head_dim is None:
            object.__setattr__(self, "head_dim", self._default_head_dim())
        self._check_heads()
        self._check_choices()
        self._check_numbers()
        self._check_windows()
        self._check_nested()

    @functools.cached_property
    def linear_layers(self):
        """Every layer that can be nested: d_in, d_out and whether there is a bias, by key in the order of the pass."""
        queries, keys = self.heads * self.head_dim, self.kv_heads * self.head_dim
        layers = {}
        for i in range(self.blocks):
            for name, width in (("q", queries), ("k", keys), ("v", keys)):
                layers[f"blocks.{i}.attention.{name}"] = self.hidden, width, self.qkv_bias
            layers[f"blocks.{i}.attention.o"] = queries, self.hidden, self.out_bias
            for name in ("gate", "up") if self.gated else ("up",):
                layers[f"blocks.{i}.mlp.{name}"] = self.hidden, self.intermediate, self.mlp_bias
            layers[f"blocks.{i}.mlp.down"] = self.intermediate, self.hidden, self.mlp_bias
        if not self.tied:
            layers["head"] = self.hidden, self.vocabulary, self.head_bias
        return layers

    def _default_head_dim(self):
        if self.hidden % self.heads:
            expected = f"a divisor of hidden = {self.hidden}, or head_dim"
            raise OptionError(f"DecoderConfig: heads is {self.heads!r}, expected {expected}")
        return self.hidden // self.heads

    def _check_heads(self):
        checks.integer("DecoderConfig", "kv_heads", self.kv_heads, 1)
        checks.integer("DecoderConfig", "head_dim", self.head_dim, 1)
        if self.heads % self.kv_heads:
            raise OptionError(f"DecoderConfig: kv_heads is {self.kv_heads!r}, expected a divisor of {self.heads}")
        checks.integer("DecoderConfig", "rotary", self.rotary, 0, self.head_dim)
        if self.rotary % 2:
            raise OptionError(f"DecoderConfig: rotary is {self.rotary!r}, expected an even number")

    def _check_choices(self):
        checks.choice("DecoderConfig", "activation", self.activation, ACTIVATIONS)
        checks.choice("DecoderConfig", "norm", self.norm, NORMS)
        for name in (
            "gated", "parallel", "qkv_bias", "out_bias", "mlp_bias", "head_bias", "tied", "learned_positions",
        ):  # fmt: skip
            checks.choice("DecoderConfig", name, getattr(self, name), (False, True))

    def _check_numbers(self):
        checks.between("DecoderConfig", "norm_offset", self.norm_offset)
        for name in ("eps", "rotary_base", "embedding_scale"):
            checks.between("DecoderConfig", name, getattr(self, name), 0, open_low=True)
        if self.attention_scale is not None:
            checks.between("DecoderConfig", "attention_scale", self.attention_scale)

    def _check_windows(self):
        if self.windows is None:
            object.__setattr__(self, "windows", (None,) * self.blocks)
        if not isinstance(self.windows, tuple) or len(self.windows) != self.blocks:
            raise OptionError(
                f"DecoderConfig: windows is {self.windows!r}, expected one for each of {self.blocks} blocks"
            )
        for i, window in enumerate(self.windows):
            if window is not None:
                checks.integer("DecoderConfig", f"windows[{i}]", window, 1)

    def _check_nested(self):
        pairs = isinstance(self.nested, tuple) and all(isinstance(p, tuple) and len(p) == 2 for p in self.nested)
        if not pairs or len({key for key, _ in self.nested}) < len(self.nested):
            raise OptionError(f"DecoderConfig: nested is {self.nested!r}, expected pairs (key, R) with distinct keys")
        for key, R in self.nested:
            checks.choice("DecoderConfig", "nested", key, tuple(self.linear_layers))
            checks.integer("DecoderConfig", f"nested[{key!r}]", R, 1)
