"""A nested decoder as a folder: nsn.json, its parameters under our names, and what came along with the source.

``config.json`` and the tokenizer are the source's own, so that any rank can be written as a plain folder again.
"""

import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from nsn_ref.errors import FileError, NSNError, OptionError, ShapeError
from nsn_ref.files import new_folder, read_json
from nsn_ref.hf import config as configs
from nsn_ref.hf.read import read_model
from nsn_ref.hf.shards import Shards
from nsn_ref.hf.stream import whole, write_tensors
from nsn_ref.hf.write import copy_companions

FILE = "nsn.json"
FORMAT = "nsn_ref decoder 1"


class OpenModel(NamedTuple):
    """A decoder that was read from a folder of either kind."""

    decoder: object
    params: dict
    facts: dict  # what nsn.json says; {} of a plain folder


def open_model(folder, dtype=None):
    """Read a folder that `adapt` or `write_nested` wrote, or a plain Hugging Face folder.

    Parameters
    ----------
    folder : str or Path
    dtype : {float32, float64}, optional
        As in `nsn_ref.hf.read_model`.

    Returns
    -------
    OpenModel

    Raises
    ------
    FileError, OptionError, ShapeError, DTypeError, NonFiniteError
    """
    if not (Path(folder) / FILE).is_file():
        return OpenModel(*read_model(folder, dtype), {})
    return read_nested(folder, dtype)


def read_nested(folder, dtype=None):
    """Read a folder that `adapt` or `write_nested` wrote; what is in the dtype asked for stays mapped.

    Parameters
    ----------
    folder : str or Path
    dtype : {float32, float64}, optional
        Default: float64 where the folder's are, else float32.

    Returns
    -------
    OpenModel

    Raises
    ------
    FileError, ShapeError, DTypeError, NonFiniteError
    """
    from nsn_ref.nets.decoder import Decoder

    facts = _read_facts(Path(folder) / FILE)
    decoder = Decoder(facts["config"])
    shards = Shards(folder)
    for name, shape in decoder.shapes().items():
        if name not in shards.entries:
            raise FileError(f"{folder}: has no tensor {name!r}, expected one of shape {shape}")
        if shards.entries[name].shape != shape:
            got = f"{name} has shape {shards.entries[name].shape}, expected {shape}"
            raise ShapeError(f"{shards.entries[name].path}: {got} by {FILE}")
    if dtype is None:
        dtype = np.float64 if any(shards.dtype(name) == np.float64 for name in decoder.shapes()) else np.float32
    if dtype not in (np.float32, np.float64, "float32", "float64"):
        raise OptionError(f"read_nested: dtype is {dtype!r}, expected float32 or float64")
    return OpenModel(decoder, {name: shards.read(name, dtype) for name in decoder.shapes()}, facts)


def read_nested_config(folder):
    """The configuration that nsn.json has; the parameters are not read.

    Returns
    -------
    DecoderConfig

    Raises
    ------
    FileError
    """
    return _read_facts(Path(folder) / FILE)["config"]


def write_nested(folder, decoder, params, facts=None, *, source=None):
    """Write a nested decoder: after training, say.

    Parameters
    ----------
    folder : str or Path
        It must not exist. It is complete or not there.
    decoder : Decoder
    params : dict of str to ndarray
    facts : dict, optional
        What else nsn.json should say, in what JSON can hold.
    source : str or Path, optional
        Folder whose config.json and tokenizer are taken along. Default: config.json is made.

    Raises
    ------
    FileError, OptionError
    """
    shapes = decoder.shapes()
    tensors = {name: whole(shapes[name], params[name].dtype, lambda name=name: params[name]) for name in shapes}
    with new_folder(folder) as new:
        write_into(new, decoder.config, tensors, facts or {}, source)


def _read_facts(path):
    """What nsn.json says, its configuration as a DecoderConfig."""
    from nsn_ref.nets.decoder import DecoderConfig

    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        got = facts.get("format") if isinstance(facts, dict) else type(facts).__name__
        raise FileError(f"{path}: has the format {got!r}, expected {FORMAT!r}")
    try:
        return facts | {"config": DecoderConfig(**facts["config"])}
    except (KeyError, TypeError, NSNError) as error:
        raise FileError(f"{path}: config does not describe a decoder: {error}") from error


def write_into(folder, config, tensors, facts, source=None):
    """Fill a folder with `Lazy` tensors, and with facts beside the configuration and the hashes.

    Returns
    -------
    dict
        What nsn.json says.

    Raises
    ------
    FileError, OptionError
    """
    hashes = write_tensors(folder, tensors)
    fields = configs.config_fields(config) if source is None else configs.read_fields(source)[0]
    own = {"format": FORMAT, "config": dataclasses.asdict(config), "sha256": hashes}
    head = own | facts | own  # facts may be those of the folder that the decoder came from
    (folder / configs.FILE).write_text(json.dumps(fields, indent=2) + "\n")
    (folder / FILE).write_text(json.dumps(head, indent=1, allow_nan=False) + "\n")
    if source is not None:
        copy_companions(source, folder)
    return head
