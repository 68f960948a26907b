"""The experiments by name. A module is imported when its experiment is asked for."""

from importlib import import_module

from nsn_ref import checks

# name to module, in the order of the report
EXPERIMENTS = {
    "decoder": "nsn_ref.experiments.decoder.experiment",
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
