"""Layers: dense and nested linear ones, convolutions, pooling, embeddings, norms."""

from nsn_ref.golden.schema.parts import RANK, RANKS, Attr, Tensor, both_ways, optional, weight

_X, _Y, _BIAS = Tensor("x", "... d_in"), Tensor("y", "... d_out"), weight("b", "d_out")
_FACTORS = weight("A", "R d_in"), weight("B", "d_out R")
_IMAGE, _FEATURES = Tensor("x", "n c_in H W"), Tensor("y", "n c_out H_out W_out")
_STRIDE = Attr("stride", "ints", "steps down and across between positions of the kernel")
_PADDING = Attr("padding", "ints", "rows of zeros above and below, columns of zeros left and right")
_SIZE = Attr("size", "ints", "height k_h and width k_w of a window; they divide H and W")
_EPS = Attr("eps", "float", "added: of a norm, to the mean square inside the root; of AdamW, to the root")
_VECTORS = Tensor("x", "... d")
_NORMED = Tensor("y", "... d")

OPERATIONS = (
    *both_ways("dense", "y = W x + b", (_X, weight("W", "d_out d_in"), _BIAS), (), _Y, ("x", "W", "b")),
    *both_ways(
        "nested_linear",
        "y = B_r (A_r x) + b",
        (_X, *_FACTORS, _BIAS),
        (RANK,),
        _Y,
        ("x", "A", "B", "b"),
        (optional("h", "... rank"),),
    ),
    *both_ways(
        "multirank_linear",
        "ys[k] is y at ranks[k], for one shared x",
        (_X, *_FACTORS, _BIAS),
        (RANKS,),
        Tensor("ys", "K ... d_out"),
        ("x", "A", "B", "b"),
        (optional("h", "... top"),),
    ),
    *both_ways(
        "conv2d",
        "convolution, kernels not flipped",
        (_IMAGE, weight("W", "c_out c_in k_h k_w"), weight("b", "c_out")),
        (_STRIDE, _PADDING),
        _FEATURES,
        ("x", "W", "b"),
    ),
    *both_ways(
        "nested_conv2d",
        "convolution with the first r kernels of A, then B_r on the channels, plus b",
        (_IMAGE, weight("A", "R c_in k_h k_w"), weight("B", "c_out R"), weight("b", "c_out")),
        (RANK, _STRIDE, _PADDING),
        _FEATURES,
        ("x", "A", "B", "b"),
        (optional("h", "n rank H_out W_out"),),
    ),
    *both_ways(
        "average_pool2d",
        "means over windows that tile the image",
        (Tensor("x", "n c H W"),),
        (_SIZE,),
        Tensor("y", "n c H_out W_out"),
        ("x",),
    ),
    *both_ways(
        "nested_embedding",
        "y = B_r h, with h the first r numbers of the token's row of E",
        (Tensor("tokens", "...", "int64"), weight("E", "V R"), weight("B", "d_out R")),
        (RANK,),
        _Y,
        ("E", "B"),
        (optional("h", "... rank"),),
    ),
    *both_ways(
        "layer_norm",
        "each vector less its mean, by its standard deviation; then y = x_hat w + b",
        (_VECTORS, weight("w", "d"), weight("b", "d")),
        (_EPS,),
        _NORMED,
        ("x", "w", "b"),
        (optional("x_hat", "... d"),),
    ),
    *both_ways(
        "rms_norm",
        "each vector by its root mean square; then y = x_hat w",
        (_VECTORS, weight("w", "d")),
        (_EPS,),
        _NORMED,
        ("x", "w"),
        (optional("x_hat", "... d"),),
    ),
)
