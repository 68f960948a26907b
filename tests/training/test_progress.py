"""The progress bar: the losses by rank, the steps, and nothing when it is not wanted."""

from nsn_ref.training.progress import describe, progress_bar

RECORD = {"step": 7, "ranks": [64, 3], "losses": [0.12345, 2.0]}


def test_losses_are_shown_by_rank():
    assert describe(RECORD) == "loss r64 0.1235  r3 2.0000"
    assert describe({"ranks": [6, 5, 4, 3, 2], "losses": [0.0] * 5}).count("r") == 4  # a line has room for four


def test_the_bar_is_drawn_on_standard_error(capsys):
    with progress_bar(True, 2, 9) as show:
        show(RECORD)
    out, err = capsys.readouterr()
    assert out == "" and "7/9" in err and "left" in err and "r64 0.1235" in err


def test_no_bar_when_it_is_not_wanted(capsys):
    with progress_bar(False, 0, 9) as show:
        show(RECORD)
    assert capsys.readouterr() == ("", "")
