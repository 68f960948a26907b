"""A decoder at one rank as a plain Hugging Face folder."""

import dataclasses
import functools
import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np

from nsn_ref import checks
from nsn_ref.files import new_folder
from nsn_ref.hf import config as configs
from nsn_ref.hf.names import join, place, tensor_shapes
from nsn_ref.hf.stream import whole, write_tensors

DTYPES = {
    "float64": np.float64, "float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16,
}  # fmt: skip
COMPANIONS = (  # what a folder has beside configuration and weights
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json", "merges.txt",
    "generation_config.json",
)  # fmt: skip


def write_model(folder, decoder, params, rank=None, *, source=None, dtype="float32", shard_bytes=None):
    """Write a folder that `transformers` loads: no layer is nested any more, W_r = B_r A_r is multiplied out.

    Parameters
    ----------
    folder : str or Path
        It must not exist. It is complete or not there.
    decoder : Decoder
    params : dict of str to ndarray
    rank : int or tuple of int, optional
        As `Decoder.layer_ranks` takes it. Default: all components.
    source : str or Path, optional
        Folder whose config.json describes the decoder, and whose tokenizer is taken along. Default: a config.json is
        made for the first family that has the decoder's properties.
    dtype : {"float64", "float32", "float16", "bfloat16"}
        Of the weights in the files.
    shard_bytes : int, optional
        Size from which on weights are spread over several files.

    Raises
    ------
    FileError, OptionError, RankError
    NonFiniteError
        A weight is not finite, or too large for the dtype.
    """
    from nsn_ref.nets.decoder import Decoder

    checks.choice("write_model", "dtype", dtype, DTYPES)
    if shard_bytes is not None:
        checks.integer("write_model", "shard_bytes", shard_bytes, 1)
    fields = configs.config_fields(decoder.config) if source is None else configs.read_fields(source)[0]
    fields |= {"dtype": dtype, "torch_dtype": dtype}
    family = configs.family_of(fields, configs.FILE)
    shapes = Decoder(dataclasses.replace(decoder.config, nested=())).shapes()
    value = functools.partial(_value, params, _products(decoder, rank))
    tensors = _tensors(family, shapes, value, decoder.config.heads, DTYPES[dtype])
    with new_folder(folder) as new:
        write_tensors(new, tensors, shard_bytes=shard_bytes)
        (new / configs.FILE).write_text(json.dumps(fields, indent=2) + "\n")
        if source is not None:
            copy_companions(source, new)


def copy_companions(source, folder):
    """Copy the tokenizer, and what else describes how a model is used, as far as it is there."""
    for name in COMPANIONS:
        if (Path(source) / name).is_file():
            shutil.copyfile(Path(source) / name, Path(folder) / name)


def _products(decoder, rank):
    """The rank of each nested layer by the name of its matrix in a plain decoder."""
    layers = decoder.nested_layers
    ranks = decoder.layer_ranks(decoder.R if rank is None else rank, "write_model") if layers else ()
    return {f"{layer.key}.W": r for layer, r in zip(layers, ranks, strict=True)}


def _value(params, products, name):
    """A parameter of the plain decoder; W = B_r A_r is computed in float64."""
    if name not in products:
        return params[name]
    key, r = name.removesuffix(".W"), products[name]
    return params[f"{key}.B"][:, :r].astype(np.float64) @ params[f"{key}.A"][:r].astype(np.float64)


def _tensors(family, shapes, value, heads, dtype):
    """The tensors of the files; query, key and value are joined where the family has them in one."""
    parts = {}
    for name in shapes:
        tensor, part = place(family, name)
        parts.setdefault(tensor, {})[part] = name

    def make(names):
        values = [value(names[part]) for part in sorted(names, key=str)]
        return values[0] if None in names else join(values, heads)

    shapes = tensor_shapes(family, shapes)
    return {name: whole(shapes[name], dtype, functools.partial(make, parts[name])) for name in parts}
