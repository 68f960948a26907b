#!/bin/sh
# Compiles every proof, exports claims.json and checks the compiled files again with coqchk, Coq's independent checker.
# Usage: build.sh [BUILD_DIRECTORY [CLAIMS_JSON]]; set JOBS to compile that many files at once.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-"$here/build"}
claims=${2:-"$here/claims.json"}
mkdir -p "$build"
cp -p "$here"/*.v "$here/_CoqProject" "$build"
(
  cd "$build"
  coq_makefile -f _CoqProject -o CoqMakefile
  make -f CoqMakefile -j"${JOBS:-1}"
)
python3 "$here/export_claims.py" --compiled "$build" "$claims"
# shellcheck disable=SC2046
coqchk -silent -R "$build" nsn $(cd "$build" && for file in *.v; do echo "-norec nsn.${file%.v}"; done)
