"""The experiments by name. A module is imported when its experiment is asked for."""

from importlib import import_module

from nsn_ref import checks

# name to module, in the order of the report
EXPERIMENTS = {
    "truncation": "nsn_ref.experiments.paper.truncation",
    "specialists-vs-nsn": "nsn_ref.experiments.paper.specialists",
    "ablation": "nsn_ref.experiments.paper.ablation",
    "interpolation": "nsn_ref.experiments.paper.interpolation",
    "log-variance": "nsn_ref.experiments.paper.log_variance",
    "containment": "nsn_ref.experiments.paper.containment",
    "similarity": "nsn_ref.experiments.paper.similarity",
    "distance": "nsn_ref.experiments.paper.distance",
    "energy": "nsn_ref.experiments.paper.energy",
    "weighting": "nsn_ref.experiments.paper.weighting",
    "cost": "nsn_ref.experiments.paper.cost",
    "hyper": "nsn_ref.experiments.paper.hyper",
    "oracle": "nsn_ref.experiments.paper.oracle",
    "decoder": "nsn_ref.experiments.decoder.experiment",
    "comparators": "nsn_ref.experiments.comparators.comparison",
}


def experiment(name):
    """An experiment.

    Parameters
    ----------
    name : str

    Returns
    -------
    Experiment

    Raises
    ------
    OptionError
        There is none of this name.
    """
    checks.choice("experiment", "name", name, EXPERIMENTS)
    return import_module(EXPERIMENTS[name]).EXPERIMENT
