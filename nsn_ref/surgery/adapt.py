"""From a Hugging Face folder to a folder with a nested decoder, one layer in memory at a time."""

import dataclasses
import math
import platform
import tempfile
from pathlib import Path

import numpy as np

from nsn_ref import __version__, checks
from nsn_ref.files import new_folder, sha256, sha256_of_file
from nsn_ref.hf.config import FILE as CONFIG
from nsn_ref.hf.read import ModelFolder
from nsn_ref.hf.stream import Lazy, whole
from nsn_ref.surgery.chain import check_budgets, error_candidates, rank_chain
from nsn_ref.surgery.choice import choose_layers, components, rank_rule
from nsn_ref.surgery.eigen import spectrum
from nsn_ref.surgery.folder import write_into
from nsn_ref.surgery.grams import InputGrams
from nsn_ref.surgery.layer import METHODS, factorise_layer

GRID = 16  # ranks at which the error of a layer is recorded


def adapt(
    folder,
    out,
    *,
    layers="mlp",
    ranks="full",
    method="auto",
    tokens=None,
    budgets=(),
    seed=0,
    progress=lambda key: None,
):
    """Replace layers of a pretrained decoder by factors, and write it as a nested one.

    Tensors that stay as they are keep their dtype; factors are float64 where the layer is, else float32.

    Parameters
    ----------
    folder : str or Path
        A Hugging Face folder.
    out : str or Path
        Folder to write. It must not exist. It is complete or not there.
    layers : str
        As in `choose_layers`: "mlp", "attention", "all", a pattern, or several separated by commas.
    ranks : str or int
        As in `rank_rule`: "full", a number of components, a share of break-even "0.5x", or "energy=0.95".
    method : {"auto", "exact", "randomised"}
        As in `factorise_layer`.
    tokens : ndarray of integers, shape (n, T), optional
        Calibration sequences: factors are then those of the smallest output error on them (`factorise_whitened`).
    budgets : sequence of float
        Increasing shares of the whole model's FLOPs, for each of which ranks of all layers are chosen by the errors of
        their factors and kept in nsn.json (`rank_chain`).
    seed : int
        Of random projections.
    progress : callable
        Called with the key of each layer that is factorised.

    Returns
    -------
    dict
        What was written to nsn.json.

    Raises
    ------
    FileError, OptionError, ShapeError, DTypeError, NonFiniteError, RankError, LabelError, DataError
    """
    checks.choice("adapt", "method", method, METHODS)
    checks.integer("adapt", "seed", seed, 0)
    model, rule = ModelFolder(folder), rank_rule(ranks)
    keys = choose_layers(model.config, layers)
    check_budgets("adapt", _nested(model, dict.fromkeys(keys, 1)), budgets)
    options = {"layers": layers, "ranks": str(ranks), "method": method, "seed": seed, "whitened": _calibration(tokens)}
    with new_folder(out) as new, tempfile.TemporaryDirectory(prefix="factors", dir=new) as scratch:
        surgeon = Surgeon(model, keys, rule, method, tokens, seed, Path(scratch))
        for key in keys:
            progress(key)
            surgeon.factorise(key)
        config = _nested(model, {key: report["R"] for key, report in surgeon.reports.items()})
        chain = rank_chain(config, error_candidates(surgeon.reports), budgets) if budgets else []
        facts = {"provenance": _provenance(model) | options, "layers": surgeon.reports, "chain": chain}
        return write_into(new, config, _tensors(model, config, surgeon), facts, folder)


class Surgeon:
    """Factorises layers in the order of the pass; factors go to a folder, and what is known of them to `reports`."""

    def __init__(self, model, keys, rule, method, tokens, seed, folder):
        self.model, self.rule, self.method, self.folder = model, rule, method, folder
        self.rng = np.random.default_rng(seed)
        self.grams = None
        if rule.kind != "energy":  # a rank that some layer lacks is refused before any work
            for key in keys:
                self._components(key)
        if tokens is not None:
            self.grams = InputGrams(model.config, keys, self.read, tokens, self.dtype("embedding.E"), folder)
        self.reports = {}

    def factorise(self, key):
        """Factorise one layer."""
        W, gram = self.read(f"{key}.W"), None if self.grams is None else self.grams[key]
        R = self._components(key, lambda: spectrum(W, gram))
        found = factorise_layer(W, R, self.rng, method=self.method, gram=gram)
        for leaf in "AB":
            np.save(self._path(f"{key}.{leaf}"), getattr(found, leaf))
        at = np.unique(np.linspace(1, R, min(R, GRID)).round().astype(int))
        self.reports[key] = {
            "R": R,
            "method": found.method,
            "error": float(found.errors[-1]),
            "best_error": found.best,
            "ranks": at.tolist(),
            "errors": found.errors[at - 1].tolist(),
        }

    def factor(self, name):
        """A factor that was found, mapped."""
        return np.load(self._path(name), mmap_mode="r")

    def read(self, name):
        """A parameter in the dtype that is computed in."""
        return self.model.read(name, self.dtype(name))

    def dtype(self, name):
        """float64 where the file has it, else float32."""
        return np.promote_types(np.float32, self.model.dtype(name))

    def _components(self, key, singular_values=None):
        d_in, d_out, _ = self.model.config.linear_layers[key]
        return components(self.rule, key, d_in, d_out, singular_values)

    def _path(self, name):
        return self.folder / f"{name}.npy"


def _nested(model, components):
    return dataclasses.replace(model.config, nested=tuple(components.items()))


def _tensors(model, config, surgeon):
    """The parameters of the nested decoder, in order, each read when its turn comes."""
    from nsn_ref.nets.decoder import Decoder

    nested = dict(config.nested)

    def tensor(name, shape):
        key, _, leaf = name.rpartition(".")
        if key in nested and leaf in "AB":
            return whole(shape, surgeon.dtype(f"{key}.W"), lambda: surgeon.factor(name))
        if name == "s":
            return whole(shape, np.float32, lambda: np.zeros(shape))
        return Lazy(shape, model.dtype(name), lambda: model.blocks(name))

    return {name: tensor(name, shape) for name, shape in Decoder(config).shapes().items()}


def _provenance(model):
    files = {path.name: sha256_of_file(path) for path in (model.folder / CONFIG, *model.shards.paths)}
    versions = {"nsn_ref": __version__, "numpy": np.__version__, "python": platform.python_version()}
    return {"source": str(model.folder), "sha256": files, "versions": versions}


def _calibration(tokens):
    if tokens is None:
        return None
    return {"sequences": len(tokens), "tokens": math.prod(tokens.shape), "sha256": sha256(tokens.tobytes())}
