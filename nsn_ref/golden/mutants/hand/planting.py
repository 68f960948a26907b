"""What a mistake made by hand is: replacements in the victim's text."""

from pathlib import Path
from typing import NamedTuple

from nsn_ref.errors import SuiteError
from nsn_ref.golden.mutants import victim

EVERY = ("float64", "float32", "tf32", "bfloat16", "float16", "bfloat16_master")
WIDE = ("float64", "float32")  # where the mistake is to compute in less


class Mistake(NamedTuple):
    """One mutant."""

    id: str
    family: str
    what: str  # the mistake, in a sentence
    edits: tuple  # pairs (old, new); each old text occurs exactly once
    formats: tuple

    def apply(self, text):
        """The mutated text.

        Raises
        ------
        SuiteError
            An old text is not there exactly once.
        """
        for old, new in self.edits:
            if text.count(old) != 1:
                raise SuiteError(f"hand-made mutant {self.id}: {old!r} occurs {text.count(old)} times, expected once")
            text = text.replace(old, new)
        return text


def family(name, *rows, formats=EVERY):
    """Mistakes from rows (id, sentence, old, new, further old, further new, ...)."""
    return tuple(
        Mistake(key, name, what, tuple(zip(texts[::2], texts[1::2], strict=True)), formats)
        for key, what, *texts in rows
    )


def victim_text():
    """The text that the mistakes are planted in."""
    return Path(victim.__file__).read_text(encoding="utf-8")
