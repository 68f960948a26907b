"""One cell in the ring: our step and those of other engines, checked and timed."""

from dataclasses import replace

from nsn_ref.bench import engines
from nsn_ref.bench.equality import TOLERANCE
from nsn_ref.bench.paired import CHECKED, agree, take_turns, workers


def hire(names, plan):
    """A worker for each engine, by name; they end with the block."""
    return workers({name: engines.path(engines.ENGINES[name].step) for name in names}, plan.threads)


def contest(cell, crew, plan, extra=None):
    """Time one cell.

    Parameters
    ----------
    cell : Cell
    crew, extra : dict of str to Worker
        Engines; and what takes turns with them but finds nothing, so that it is not compared.
    plan : Plan

    Returns
    -------
    dict
        The cell, and by engine what `agree` and `take_turns` give. The engines agree with the reference operations in
        float64.

    Raises
    ------
    NSNError
        An engine computes something else.
    """
    plan.say(f"{cell.name}: checking {', '.join(crew)}")
    facts = agree(crew, dict.fromkeys(crew, cell.check().to_json()), truth(cell), TOLERANCE[cell.dtype])
    everyone = crew | (extra or {})
    plan.say(f"{cell.name}: timing {', '.join(everyone)}")
    results = take_turns(everyone, dict.fromkeys(everyone, cell.to_json()), plan.rounds, plan.turn)
    timed = {name: result | facts.get(name, {}) for name, result in results.items()}
    return {"cell": cell.to_json(), "name": cell.name, "engines": timed}


def truth(cell, module="reference", steps=CHECKED):
    """What the first steps find, by the reference operations in float64."""
    with workers({"reference": engines.path(module)}, cell.threads) as crew:
        crew["reference"].ask("make", task=replace(cell.check(), dtype="float64").to_json())
        return crew["reference"].ask("read", steps=steps)["found"]
