"""What pages of the paper's figures say first."""

SETTING = """Here: {data}, hidden widths {hidden}, R = {R}, {epochs} epochs, {splits} splits of a repeated stratified
5-fold cross-validation. In the paper: {paper}, no intervals. So values are not comparable;
their order and how they change with the rank are. Accuracies are means over the splits in percent. Differences are
in percentage points, paired by split, with corrected resampled 95 % t-intervals (Nadeau & Bengio, Machine Learning
52, 2003), not adjusted for their number."""


def setting(records, paper="embeddings of CIFAR-10, R = 64"):
    """The paragraph that says what was run, what in the paper, and how to read it."""
    options = records[0]["options"]
    return SETTING.format(
        paper=paper,
        data=records[0]["data"],
        hidden="-".join(map(str, options["hidden"])),
        R=options["R"],
        epochs=options["epochs"],
        splits=len({record["seed"] for record in records}),
    )
