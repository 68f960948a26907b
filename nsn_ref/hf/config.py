"""config.json to DecoderConfig and back."""

import dataclasses
import math
from pathlib import Path

from nsn_ref.errors import FileError, OptionError
from nsn_ref.files import read_json
from nsn_ref.hf.families import FAMILIES, REQUIRED
from nsn_ref.hf.windows import read_windows, write_windows

FILE = "config.json"
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
THEIRS = {"gelu": "gelu", "gelu_tanh": "gelu_pytorch_tanh", "silu": "silu"}
REFUSED = ("quantization_config", "use_bidirectional_attention")  # each changes what the weights or the mask mean


def read_config(folder):
    """The configuration of the decoder in a Hugging Face folder.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    DecoderConfig

    Raises
    ------
    FileError
        There is no config.json, or it lacks a key.
    OptionError
        The architecture is not one of `nsn_ref.hf.families.FAMILIES`, or a key has a value that the decoder has no
        equivalent of. The message names the key.
    """
    return decoder_config(*read_fields(folder))


def read_fields(folder):
    """What config.json says, and its path for messages.

    Raises
    ------
    FileError
    """
    path = Path(folder) / FILE
    fields = read_json(path)
    if not isinstance(fields, dict):
        raise FileError(f"{path}: holds a {type(fields).__name__}, expected an object")
    return fields, path


def family_of(fields, where):
    """The family that ``model_type`` names.

    Raises
    ------
    OptionError
    """
    kind = fields.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise OptionError(f"{where}: model_type is {kind!r}, expected one of {', '.join(map(repr, FAMILIES))}")
    return FAMILIES[kind]


def decoder_config(fields, where=FILE):
    """The configuration that the fields of a config.json describe; `where` is named in messages.

    Raises
    ------
    FileError, OptionError
    """
    from nsn_ref.nets.decoder import DecoderConfig

    family = family_of(fields, where)
    for name in REFUSED:
        if fields.get(name):
            raise OptionError(f"{where}: {name} is {fields[name]!r}, expected none: it is not supported")
    values = {name: _value(fields, key, where) for name, key in family.keys.items()}
    if values["intermediate"] is None:
        values["intermediate"] = 4 * values["hidden"]
    head_dim = values.get("head_dim") or values["hidden"] // values["heads"]
    values |= _rotary(fields, family, head_dim, where)
    values["activation"] = _activation(fields, family, where)
    values["windows"] = read_windows(family.windows, fields, values["blocks"], where)
    if family.scaled_embedding:
        values["embedding_scale"] = math.sqrt(values["hidden"])
    return DecoderConfig(**values | family.fixed)


def config_fields(config, dtype="float32"):
    """The fields of a config.json that describes a decoder: of the first family that can.

    Parameters
    ----------
    config : DecoderConfig
        What is nested is left out.
    dtype : str

    Returns
    -------
    dict

    Raises
    ------
    OptionError
        No family has all of these properties.
    """
    plain = dataclasses.replace(config, nested=())
    for kind, family in FAMILIES.items():
        fields = {"model_type": kind, "architectures": [family.architecture], "dtype": dtype, "torch_dtype": dtype}
        fields |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))  # a decoder has no special tokens
        fields |= {key.name: getattr(plain, name) for name, key in family.keys.items()}
        fields |= {family.activation: THEIRS[plain.activation]} | _rotary_fields(plain, family)
        fields |= write_windows(family.windows, plain.windows)
        if _describes(fields, plain):
            return fields
    raise OptionError(f"config_fields: no family of {', '.join(FAMILIES)} has all properties of {plain}")


def _describes(fields, config):
    try:
        return decoder_config(fields) == config
    except OptionError:
        return False


def _value(fields, key, where):
    value = fields.get(key.name)
    if value is None:
        if key.default is REQUIRED:
            raise FileError(f"{where}: has no {key.name!r}, expected a value of type {key.kind.__name__}")
        return key.default
    if key.kind is float and type(value) is int:
        value = float(value)
    if type(value) is not key.kind or (key.kind is int and value < 1):
        expected = "an integer of at least 1" if key.kind is int else f"a value of type {key.kind.__name__}"
        raise OptionError(f"{where}: {key.name} is {value!r}, expected {expected}")
    return value


def _activation(fields, family, where):
    name = fields.get(family.activation)
    if not isinstance(name, str) or name not in ACTIVATIONS:
        expected = ", ".join(map(repr, ACTIVATIONS))
        raise OptionError(f"{where}: {family.activation} is {name!r}, expected one of {expected}")
    return family.gelu if name == "gelu" else ACTIVATIONS[name]


def _rotary(fields, family, head_dim, where):
    """How many dimensions of a head are rotated, and the base: from either spelling."""
    keys = family.rotary
    if keys is None:
        return {}
    rope = fields.get("rope_parameters") or fields.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default")) if isinstance(rope, dict) else None
    if kind != "default" or any(isinstance(value, dict) for value in rope.values()):
        raise OptionError(f"{where}: rope_parameters is {rope!r}, expected one rotary embedding of type 'default'")
    base = rope.get("rope_theta", fields.get(keys.base, 10000.0))
    share = rope.get("partial_rotary_factor", fields.get(keys.share, keys.default_share))
    for name, value in ((keys.base, base), (keys.share, share)):
        if type(value) not in (int, float) or not 0 < value < math.inf:
            raise OptionError(f"{where}: {name} is {value!r}, expected a number > 0")
    rotary = int(head_dim * share)
    if rotary % 2 or not 0 < rotary <= head_dim or (share != 1 and not keys.partial):
        expected = "an even number" if keys.partial else "all of them"
        got = f"{keys.share} is {share}, which rotates {rotary} of {head_dim} dimensions"
        raise OptionError(f"{where}: {got}, expected {expected}")
    return {"rotary": rotary, "rotary_base": float(base)}


def _rotary_fields(config, family):
    """Both spellings of the rotary embedding, so that older versions of transformers read it too."""
    keys = family.rotary
    if keys is None or (config.rotary != config.head_dim and not keys.partial):
        return {}
    share = config.rotary / config.head_dim
    if int(config.head_dim * share) != config.rotary:  # the quotient was rounded down
        share = math.nextafter(share, math.inf)
    rope = {"rope_type": "default", "rope_theta": config.rotary_base}
    rope |= {"partial_rotary_factor": share} if keys.partial else {}
    return {"rope_parameters": rope, keys.base: config.rotary_base, keys.share: share}
