"""The layers that convolutional networks add: convolutions and pooling."""

from dataclasses import dataclass

import numpy as np

from nsn_ref.nets.layers import FACTORS, Layer, random_matrix


@dataclass(frozen=True)
class Conv2d(Layer):
    """A dense convolution with odd square kernels and stride 1, which keeps the image's size."""

    stems = ("conv2d",)
    key: str
    c_in: int
    c_out: int
    kernel: int
    gain: float

    def shapes(self):
        """Shape of every parameter by its name."""
        W = (self.c_out, self.c_in, self.kernel, self.kernel)
        return {f"{self.key}.W": W, f"{self.key}.b": (self.c_out,)}

    def init(self, rng, initialisation):
        """W ~ N(0, gain / (c_in kernel^2)), b = 0."""
        shape = self.shapes()[f"{self.key}.W"]
        W = random_matrix(rng, self.c_out, self.c_in * self.kernel**2, self.gain)
        return {f"{self.key}.W": W.reshape(shape), f"{self.key}.b": np.zeros(self.c_out)}

    def forward(self, params, x, rank, ops):
        """Convolve and add the bias."""
        return ops.conv2d_forward(x, params[f"{self.key}.W"], params[f"{self.key}.b"], padding=self.kernel // 2)

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, dW, db = ops.conv2d_backward(dy, saved)
        return dx, {f"{self.key}.W": dW, f"{self.key}.b": db}


@dataclass(frozen=True)
class NestedConv2d(Layer):
    """A nested convolution with odd square kernels and stride 1, which keeps the image's size."""

    stems = ("nested_conv2d",)
    ranked = True
    key: str
    c_in: int
    c_out: int
    kernel: int
    R: int
    gain: float

    @property
    def first_factor(self):
        """Name of A."""
        return f"{self.key}.A"

    def shapes(self):
        """Shape of every parameter by its name."""
        A = (self.R, self.c_in, self.kernel, self.kernel)
        return dict(zip(self._names(), (A, (self.c_out, self.R), (self.c_out,)), strict=True))

    def init(self, rng, initialisation):
        """A and B as of a linear layer over patches, b = 0."""
        A, B = FACTORS[initialisation](rng, self.c_out, self.c_in * self.kernel**2, self.R, self.gain)
        A = A.reshape(self.R, self.c_in, self.kernel, self.kernel)
        return dict(zip(self._names(), (A, B, np.zeros(self.c_out)), strict=True))

    def forward(self, params, x, rank, ops):
        """Convolve with the first `rank` kernels, mix their channels, and add the bias."""
        A, B, b = (params[name] for name in self._names())
        return ops.nested_conv2d_forward(x, A, B, b, rank, padding=self.kernel // 2)

    def forward_ranks(self, params, x, ranks, ops):
        """Outputs (K, ...) at K ranks of one shared input, whose patches are made once."""
        factors, passes, seen = [params[name] for name in self._names()], [], None
        for rank in ranks:
            passes.append(ops.nested_conv2d_forward(x, *factors, rank, padding=self.kernel // 2, seen=seen))
            seen = passes[0][1].linear.x
        ys, saved = zip(*passes, strict=True)
        return np.stack(ys), saved

    def backward(self, dy, saved, ops):
        """Cotangent of the input, and gradients by parameter name."""
        dx, *grads = ops.nested_conv2d_backward(dy, saved)
        return dx, dict(zip(self._names(), grads, strict=True))

    def _names(self):
        return f"{self.key}.A", f"{self.key}.B", f"{self.key}.b"


@dataclass(frozen=True)
class AveragePool2d(Layer):
    """The mean over square windows."""

    stems = ("average_pool2d",)
    size: int

    def forward(self, params, x, rank, ops):
        """(n, c, H, W) to (n, c, H / size, W / size)."""
        return ops.average_pool2d_forward(x, self.size)

    def backward(self, dy, saved, ops):
        """Cotangent of the input; there are no parameters."""
        return ops.average_pool2d_backward(dy, saved), {}


@dataclass(frozen=True)
class GlobalAveragePool2d(Layer):
    """The mean over the whole image."""

    stems = ("average_pool2d",)

    def forward(self, params, x, rank, ops):
        """(n, c, H, W) to (n, c)."""
        y, saved = ops.average_pool2d_forward(x, x.shape[2:])
        return y[:, :, 0, 0], saved

    def backward(self, dy, saved, ops):
        """Cotangent of the input; there are no parameters."""
        return ops.average_pool2d_backward(dy[:, :, None, None], saved), {}
