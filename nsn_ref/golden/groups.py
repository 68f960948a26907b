"""The tensors of a net among those of an operation: named by group, as in "param.layers.0.A" and "m.layers.0.A"."""


def group(tensors, prefix):
    """The tensors of one group, without the prefix."""
    return {name.removeprefix(f"{prefix}."): x for name, x in tensors.items() if name.startswith(f"{prefix}.")}


def name_groups(params, m, v):
    """Parameters and their moments with their prefixes, as a training step takes them."""
    groups = {"param": params, "m": m, "v": v}
    return {f"{prefix}.{key}": x for prefix, named in groups.items() for key, x in named.items()}
