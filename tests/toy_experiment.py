"""A small experiment that can be told to be slow, to fail, or to take its process down; it logs every run."""

import os
import time
from pathlib import Path

import numpy as np

from nsn_ref.experiments.data import split
from nsn_ref.experiments.experiment import Experiment, Page

TROUBLES = ("raise", "exit", "nan")
LOG = "TOY_EXPERIMENT_LOG"  # environment: a file that takes a line when a cell begins and one when it ends


def cells(form):
    count = {"smoke": 2, "quick": 3, "full": 4}[form]
    return [{"rank": rank, "pause": 0.0} | dict.fromkeys(TROUBLES, False) for rank in range(1, count + 1)]


def run(data, options, seed):
    """Accuracy of nearest class means within the first principal directions."""
    _log("begin", options, seed)
    time.sleep(options["pause"])
    if options["raise"]:
        raise ValueError("as asked")
    if options["exit"]:
        os._exit(3)
    rows = split(data, seed)
    V = np.linalg.svd(rows.x_train)[2][: options["rank"]].T
    means = np.stack([rows.x_train[rows.y_train == c].mean(axis=0) for c in range(data.classes)]) @ V
    distance = ((rows.x_test @ V)[:, None] - means) ** 2
    right = distance.sum(axis=-1).argmin(axis=1) == rows.y_test
    accuracy = float("nan") if options["nan"] else float(right.mean())
    _log("end", options, seed)
    return {"accuracy": accuracy, "distances": distance.sum(axis=(0, 2)).tolist(), "seconds": {"all": time.time()}}


def page(records):
    from matplotlib.figure import Figure

    image = Figure(figsize=(4, 3))
    accuracies = [100 * record["result"]["accuracy"] for record in records]
    image.subplots().plot([record["options"]["rank"] for record in records], accuracies, "ko")
    body = f"Accuracies: {', '.join(f'{a:.1f}' for a in accuracies)}.\n\n![Accuracy by rank](toy.png)\n"
    return Page(body, {"toy.png": image})


def _log(what, options, seed):
    if LOG in os.environ:
        with Path(os.environ[LOG]).open("a") as file:
            file.write(f"{what} {options['rank']} {seed} {os.getpid()}\n")


EXPERIMENT = Experiment(
    name="toy",
    title="A toy",
    summary="Nearest class means within the first principal directions.",
    source="ours",
    cells=cells,
    seeds={"smoke": 1, "quick": 2, "full": 3},
    run=run,
    page=page,
    data="iris",
)
