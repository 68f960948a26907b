"""A model folder as a decoder and its parameters."""

import fnmatch
from pathlib import Path

import numpy as np

from nsn_ref.errors import FileError, OptionError, ShapeError
from nsn_ref.hf.config import decoder_config, family_of, read_fields
from nsn_ref.hf.names import place, split, tensor_shapes
from nsn_ref.hf.shards import Shards


class ModelFolder:
    """A Hugging Face folder: its configuration, and its parameters under our names, read when they are asked for.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    FileError
        A file or tensor is missing or damaged, or there is a tensor that the configuration has no place for.
    OptionError
        The architecture, or an option of it, is not supported.
    ShapeError
        A tensor's shape disagrees with the configuration.
    """

    def __init__(self, folder):
        from nsn_ref.nets.decoder import Decoder

        self.folder = Path(folder)
        fields, where = read_fields(folder)
        self.family = family_of(fields, where)
        self.config = decoder_config(fields, where)
        self.shapes = Decoder(self.config).shapes()
        self.shards = Shards(folder)
        self._check_tensors()

    def read(self, name, dtype=None):
        """A parameter in a dtype, by default that of the file.

        Raises
        ------
        FileError, DTypeError, NonFiniteError
        """
        tensor, part = place(self.family, name)
        array = self.shards.read(tensor, dtype)
        return array if part is None else split(array, part, self.config.heads)

    def blocks(self, name):
        """A parameter in the dtype of the file, a few rows at a time where it is not part of a fused tensor."""
        tensor, part = place(self.family, name)
        return self.shards.blocks(tensor) if part is None else iter([self.read(name)])

    def dtype(self, name):
        """The dtype of a parameter in its file."""
        return self.shards.dtype(place(self.family, name).tensor)

    def _check_tensors(self):
        expected = tensor_shapes(self.family, self.shapes)
        for name, shape in expected.items():
            if name not in self.shards.entries:
                raise FileError(f"{self.folder}: has no tensor {name!r}, expected one of shape {shape}")
            entry = self.shards.entries[name]
            if entry.shape != shape:
                got = f"{name} has shape {entry.shape}, expected {shape}"
                raise ShapeError(f"{entry.path}: {got} by config.json")
        ignored = (*self.family.ignored, *((f"{self.family.modules['head']}.weight",) if self.config.tied else ()))
        for name in self.shards.entries.keys() - expected.keys():
            if not any(fnmatch.fnmatchcase(name, pattern) for pattern in ignored):
                raise FileError(f"{self.folder}: has the tensor {name!r}, for which config.json has no place")


def read_model(folder, dtype=None):
    """A Hugging Face folder as a decoder.

    What is in the folder in the dtype asked for stays mapped, not copied: a large model opens without being read into
    memory, and its files must not change while it is used.

    Parameters
    ----------
    folder : str or Path
        ``config.json`` and safetensors files of one of the families in `nsn_ref.hf.families`.
    dtype : {float32, float64}, optional
        Of the parameters. Default: float64 where the folder's are, else float32.

    Returns
    -------
    decoder : Decoder
    params : dict of str to ndarray

    Raises
    ------
    FileError, OptionError, ShapeError, DTypeError, NonFiniteError
    """
    from nsn_ref.nets.decoder import Decoder

    model = ModelFolder(folder)
    if dtype is None:
        dtype = np.float64 if any(model.dtype(name) == np.float64 for name in model.shapes) else np.float32
    if dtype not in (np.float32, np.float64, "float32", "float64"):
        raise OptionError(f"read_model: dtype is {dtype!r}, expected float32 or float64")
    decoder = Decoder(model.config)
    params = {name: model.read(name, dtype) for name in model.shapes}
    return decoder, params
