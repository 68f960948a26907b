"""Windows of local attention in config.json: two spellings, both ways.

A window is how many of the latest keys a query sees, its own among them; None: all.
"""

from nsn_ref.errors import OptionError


def read_windows(spelling, fields, blocks, where):
    """The windows of a decoder, one for each block; None where the family has none.

    Raises
    ------
    OptionError
    """
    if spelling is None:
        return None
    try:
        kinds, local, size = READERS[spelling](fields, blocks)
        known = set(kinds) <= {local, *GLOBAL}
    except (TypeError, ValueError):  # a value of another form
        raise OptionError(f"{where}: {spelling} is {fields.get(spelling)!r}, expected the kind of each block") from None
    if len(kinds) != blocks or not known:
        raise OptionError(f"{where}: {spelling} gives the blocks {kinds!r}, expected {blocks} of {local!r} or {GLOBAL}")
    if local in kinds and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise OptionError(f"{where}: the window is {size!r}, expected an integer of at least 1")
    return tuple(size if kind == local else None for kind in kinds)


def write_windows(spelling, windows):
    """The keys of config.json for windows; {} where the spelling has none, which reading back then shows.

    Returns
    -------
    dict
    """
    if spelling is None:
        return {}
    size = next((window for window in windows if window is not None), None)
    return WRITERS[spelling](windows, size)


GLOBAL = ("full_attention", "global")


def _read_layer_types(fields, blocks):
    """Qwen2: ``layer_types``, or all blocks from ``max_window_layers`` on; only with ``use_sliding_window``."""
    size = fields.get("sliding_window") if fields.get("use_sliding_window") else None
    first = fields.get("max_window_layers", 28) if size is not None else blocks
    default = ["sliding_attention" if i >= first else "full_attention" for i in range(blocks)]
    return fields.get("layer_types") or default, "sliding_attention", size


def _write_layer_types(windows, size):
    kinds = ["full_attention" if window is None else "sliding_attention" for window in windows]
    return {"layer_types": kinds, "use_sliding_window": size is not None, "sliding_window": size}


def _read_attention_types(fields, blocks):
    """GPT-Neo: a list of [kinds, repetitions]."""
    types = fields.get("attention_types") or [[["global", "local"], 12]]
    kinds = [kind for kinds, count in types for kind in kinds * count]
    return kinds, "local", fields.get("window_size", 256)


def _write_attention_types(windows, size):
    kinds = ["global" if window is None else "local" for window in windows]
    return {"attention_types": [[kinds, 1]], "attention_layers": kinds, "window_size": 256 if size is None else size}


READERS = {"layer_types": _read_layer_types, "attention_types": _read_attention_types}
WRITERS = {"layer_types": _write_layer_types, "attention_types": _write_attention_types}
