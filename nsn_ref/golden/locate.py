"""Where the golden files lie: beside the package in the repository, inside it in an installed wheel."""

from pathlib import Path

from nsn_ref.errors import SuiteError

PACKAGE = Path(__file__).parents[1]


def golden_dir():
    """The folder with README.md, ports/, schema/ and suite/.

    Raises
    ------
    SuiteError
    """
    places = PACKAGE / "_suite", PACKAGE.parent / "golden"
    for place in places:
        if (place / "suite").is_dir():
            return place
    raise SuiteError(f"golden suite: found neither {places[0]} nor {places[1]}")


def suite_dir():
    """The folder of the suite that ships with the package."""
    return golden_dir() / "suite"
