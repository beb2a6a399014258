#!/usr/bin/env bash
# Checks, explains and applies what changed in folders of call flows, for any continuous integration.
#
#   generic.sh check   BASE FOLDER…   checks what changed, makes the calls of every suite; reports go to $REPORTS
#   generic.sh explain BASE FOLDER…   says in Markdown what changes for callers
#   generic.sh list    BASE FOLDER…   prints the folders with patches that changed, as a JSON array
#   generic.sh apply   BASE FOLDER…   saves the patches that changed to the live flows, one JSON document a line
#
# What changed is what HEAD has and its merge base with BASE had otherwise. All files of one call flow lie in one folder:
# its export, its suites, its patches. Ends with 0, or with the worst exit code of `cordboard` and `python -m flows`.
set -euo pipefail

usage() {
    sed -n '/^#   /s/^#   //p' "$0" >&2
    exit 2
}

[[ $# -ge 3 ]] || usage
verb=$1 since=$2
shift 2
folders=("$@")
export GIT_LITERAL_PATHSPECS=1 # a folder is a name and no pattern

cd "$(git rev-parse --show-toplevel)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
base=$(git merge-base "$since" HEAD) || {
    echo "$since and HEAD have no common commit here: fetch the whole history" >&2
    exit 2
}

# Prints names that end with a zero byte each, so that they may hold anything.
changed() {
    git diff -z --name-only --no-renames --diff-filter=d "$base" HEAD -- "${folders[@]}" | definitions
}

tracked() {
    git ls-files -z -- "${folders[@]}" | definitions
}

beside() {
    find "$(dirname "$1")" -maxdepth 1 -type f -print0 | LC_ALL=C sort -z | definitions
}

definitions() {
    grep -zE '\.(yaml|yml|json)$' || true
}

# Of the names on standard input those of files of one kind; `cordboard check` tells of files that cannot be read.
of_kind() {
    python -c '
import os, sys
from pathlib import Path
from cordboard.documents import read_document
from cordboard.errors import InvalidDocument

for name in sys.stdin.buffer.read().split(b"\0")[:-1]:
    try:
        value = read_document(Path(os.fsdecode(name))).value
    except InvalidDocument:
        continue
    if isinstance(value, dict) and value.get("kind", "ivr-flow" if "nodes" in value else "") == sys.argv[1]:
        sys.stdout.buffer.write(name + b"\0")
' "$1"
}

# Runs a command; its exit code counts where it is the worst.
worst=0
attempt() {
    local code=0
    "$@" || code=$?
    worst=$((code > worst ? code : worst))
}

check() {
    changed >"$scratch/changed"
    mapfile -d '' -t files <"$scratch/changed"
    local format=text
    [[ ${GITHUB_ACTIONS:-} == true ]] && format=github
    [[ ${#files[@]} -eq 0 ]] || attempt cordboard check --format "$format" -- "${files[@]}"
    git diff --quiet "$base" HEAD -- "${folders[@]}" || simulate
    return "$worst"
}

# All suites: what changed may break the calls of any.
simulate() {
    tracked | of_kind ivr-suite >"$scratch/suites"
    mapfile -d '' -t suites <"$scratch/suites"
    for suite in "${suites[@]}"; do
        attempt python -m flows simulate-ivr --report-dir "${REPORTS:-reports}" -- "$suite"
    done
}

explain() {
    changed >"$scratch/changed"
    of_kind ivr-flow <"$scratch/changed" >"$scratch/flows"
    of_kind ivr-patch <"$scratch/changed" >"$scratch/patches"
    echo "## What changes for callers"
    [[ -s "$scratch/flows" || -s "$scratch/patches" ]] || printf '\nNo call flow and no patch changed.\n'
    while IFS= read -r -d '' file; do
        headline "$file"
        explain_flow "$file"
    done <"$scratch/flows"
    while IFS= read -r -d '' file; do
        headline "$file"
        explain_patch "$file"
    done <"$scratch/patches"
}

headline() {
    printf '\n### %s\n\n' "$1"
}

explain_flow() {
    local before="$scratch/before.${1##*.}"
    if git show "$base:$1" >"$before" 2>"$scratch/said"; then
        difference "$before" "$1"
    else
        echo "A new call flow."
    fi
}

# The patch, made on the export beside it that it fits.
explain_patch() {
    local after="$scratch/after.json"
    rm -f "$after"
    beside "$1" | of_kind ivr-flow >"$scratch/beside"
    : >"$scratch/said"
    while IFS= read -r -d '' flow; do
        cordboard merge --out "$after" -- "$flow" "$1" "$flow" >"$scratch/said" 2>&1 || true
        [[ ! -e "$after" ]] || break
    done <"$scratch/beside"
    if [[ -e "$after" ]]; then
        verbatim <"$scratch/said"
        difference "$flow" "$after"
    else
        echo "It fits no call flow in its folder; \`update-ivr --dry-run\` says what it changes in the live flow."
        verbatim <"$scratch/said"
    fi
}

difference() {
    { cordboard diff --behaviour -- "$1" "$2" 2>&1 || true; } | verbatim
}

# A block in which Markdown means nothing.
verbatim() {
    echo
    sed 's/^/    /'
}

list() {
    changed | of_kind ivr-patch | python -c '
import json, os, sys

names = sys.stdin.buffer.read().split(b"\0")[:-1]
print(json.dumps(sorted({os.path.dirname(os.fsdecode(name)) for name in names})))
'
}

# One after the other in the order of their names; the first that is not saved ends it. Give the same command again then:
# an edit that was saved is not made twice.
apply() {
    changed >"$scratch/changed"
    of_kind ivr-patch <"$scratch/changed" >"$scratch/patches"
    while IFS= read -r -d '' patch; do
        beside "$patch" | of_kind ivr-suite >"$scratch/suites"
        mapfile -d '' -t suites <"$scratch/suites"
        python -m flows update-ivr --json "${suites[@]/#/--suite=}" -- "$patch" </dev/null
    done <"$scratch/patches"
}

case $verb in
    check | explain | list | apply) "$verb" ;;
    *) usage ;;
esac
