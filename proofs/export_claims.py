"""Export every theorem of this directory, with the axioms it depends on, to claims.json.

    python3 export_claims.py [--compiled DIRECTORY] [OUTPUT]

DIRECTORY holds the compiled files (build.sh puts them in `build`). A result that is declared `Theorem` is a claim: the
comment right before it starts with the claim's id, as in `(* LIN-3. rank(W_r) <= r. *)`. Lemmas are not exported.

Exit status 1 if a theorem has no claim id, depends on an axiom outside the four of Coq's real numbers, or a source uses
a command that assumes something.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
LIBRARY = "nsn"
ALLOWED_AXIOMS = {
    "ClassicalDedekindReals.sig_forall_dec",
    "ClassicalDedekindReals.sig_not_dec",
    "Classical_Prop.classic",
    "FunctionalExtensionality.functional_extensionality_dep",
}
ASSUMES = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjecture|bypass_check"
    r"|Unset\s+(?:Guard|Positivity|Universe)\s+Checking)\b"
)
THEOREM = re.compile(r"^Theorem\s+([\w']+)", re.MULTILINE)
CLAIM = re.compile(r"([A-Z]{3}-\d+(?:, [A-Z]{3}-\d+)*)\.(?:\s|$)")
PREAMBLE = re.compile(r"(?:(?:From|Require|Import|Set|Unset|Local Open Scope)\b[^\n]*\.\n)+")
CLOSED = "Closed under the global context"


def theorems(source):
    """Claim ids, name, line and sentence of every `Theorem` in the text of a file.

    Raises
    ------
    ValueError
        Where a theorem has no claim id, or the text uses a command that assumes something.
    """
    if assumes := ASSUMES.search(without_comments(source)):
        raise ValueError(f"the command {assumes.group()!r} assumes something")
    out = []
    for match in THEOREM.finditer(source):
        name, before = match.group(1), source[: match.start()]
        comment = before[before.rindex("(*") + 2 : -len("*)\n")].strip() if before.endswith("*)\n") else ""
        claim = CLAIM.match(comment)
        if claim is None:
            raise ValueError(f"theorem {name} has no claim id in the comment before it")
        sentence = " ".join(comment[claim.end() :].split())
        line = before.count("\n") + 1
        out.append({"claims": claim.group(1).split(", "), "name": name, "line": line, "sentence": sentence})
    return out


def without_comments(source):
    """The text with its comments, which may nest, blanked."""
    out, depth, i = [], 0, 0
    while i < len(source):
        if source.startswith("(*", i):
            depth, i = depth + 1, i + 2
        elif depth and source.startswith("*)", i):
            depth, i = depth - 1, i + 2
        else:
            out.append(source[i] if depth == 0 or source[i] == "\n" else " ")
            i += 1
    return "".join(out)


def ask(compiled, module, preamble, names):
    """The statement of each name as Coq prints it, and the axioms it depends on."""
    path = f"{LIBRARY}.{module}"
    commands = [preamble + f"From {LIBRARY} Require Import {module}.", "Set Printing Width 1000000."]
    for name in names:
        commands += [_mark(f"statement {name}"), f"Check @{path}.{name}."]
    together = ", ".join(["tt"] + [f"@{path}.{name}" for name in names])
    commands += [f"Definition together := ({together}).", _mark("axioms *"), "Print Assumptions together."]
    answers = _answers(_coq(compiled, commands))
    if answers["axioms", "*"] == CLOSED:
        axioms = dict.fromkeys(names, CLOSED)
    else:  # one query for each theorem is slow: only where some theorem has axioms
        queries = [line for name in names for line in (_mark(f"axioms {name}"), f"Print Assumptions {path}.{name}.")]
        answers |= _answers(_coq(compiled, commands[:2] + queries))
        axioms = {name: answers["axioms", name] for name in names}
    return {name: (_statement(answers["statement", name]), _axioms(axioms[name])) for name in names}


def _mark(text):
    return f'Goal True. idtac "@@ {text}". Abort.'


def _answers(output):
    parts = [part.split("\n", 1) for part in output.split("@@ ")[1:]]
    return {tuple(heading.split()): body.strip() for heading, body in parts}


def _coq(compiled, commands):
    with tempfile.TemporaryDirectory() as directory:
        query = pathlib.Path(directory) / "query.v"
        query.write_text("\n".join(commands) + "\n")
        call = ["coqc", "-q", "-w", "none", "-R", str(compiled), LIBRARY, str(query)]
        result = subprocess.run(call, capture_output=True, text=True)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return result.stdout


def _statement(answer):
    return " ".join(answer.split(":", 1)[1].split())


def _axioms(answer):
    """Names at the start of a line, after the heading; types and continuation lines are indented or follow a colon."""
    if answer == CLOSED:
        return []
    heading, *lines = answer.split("\n")
    if heading != "Axioms:":
        raise ValueError(f"unexpected answer to Print Assumptions: {heading!r}")
    return sorted(line.split()[0] for line in lines if line and not line[0].isspace())


def export(compiled):
    """The contents of claims.json.

    Raises
    ------
    ValueError
        As `theorems`, or where a theorem depends on an axiom that is not allowed.
    """
    version = subprocess.run(["coqc", "--print-version"], capture_output=True, text=True, check=True).stdout.split()[0]
    sources, found = {}, []
    for path in sorted(HERE.glob("*.v")):
        source = path.read_text()
        sources[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
        listed = theorems(source)
        names = [theorem["name"] for theorem in listed]
        answers = ask(compiled, path.stem, PREAMBLE.match(source).group(), names) if names else {}
        for theorem in listed:
            statement, axioms = answers[theorem["name"]]
            if forbidden := set(axioms) - ALLOWED_AXIOMS:
                raise ValueError(f"{path.name}: theorem {theorem['name']} depends on {sorted(forbidden)}")
            found.append({"file": path.name, **theorem, "statement": statement, "axioms": axioms})
    return {"schema": 1, "coq": version, "sources": sources, "theorems": found}


def main():
    """Write the export; print how many theorems and claims it has."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--compiled", type=pathlib.Path, default=HERE / "build")
    parser.add_argument("output", nargs="?", type=pathlib.Path, default=HERE / "claims.json")
    arguments = parser.parse_args()
    try:
        contents = export(arguments.compiled)
    except ValueError as error:
        sys.exit(str(error))
    arguments.output.write_text(json.dumps(contents, indent=1, ensure_ascii=False) + "\n")
    claims = {claim for theorem in contents["theorems"] for claim in theorem["claims"]}
    print(f"{len(contents['theorems'])} theorems, {len(claims)} claims: {arguments.output}")


if __name__ == "__main__":
    main()
