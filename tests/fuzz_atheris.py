"""`make fuzz`: the targets of `fuzzing`, driven by coverage.

Takes the name of a target, then options of libFuzzer.

A file that fails is left in `.fuzz/`, as is the corpus.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["icl_gap", "yaml"]):
    from fuzzing import TARGETS, examples, only_in

KEPT = Path(".fuzz")


def main(name: str, *options: str) -> None:
    """Fuzz one target."""
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    around = Path(tempfile.mkdtemp(prefix="icl_gap-fuzz-"))
    (around / "x").write_text("a secret")
    place = around / "place"
    place.mkdir()
    os.environ["ICL_GAP_CACHE"] = str(place / "cache")
    good = examples(place)
    (corpus / "good").write_bytes(good[name])
    TARGETS[name](place, good[name])  # what is imported may make folders of its own

    def once(content: bytes) -> None:
        with only_in(place):
            TARGETS[name](place, content)

    arguments = [sys.argv[0], *options, f"-artifact_prefix={KEPT}/{name}-", str(corpus)]
    atheris.Setup(arguments, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
