"""How long the things take that a user waits for, each against its target: `make bench`.

Every figure is the median of three fresh processes, interpreter start and imports included. What
needs the published CFQ files is left out where `ICL_GAP_DATA` is not set.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

RUNS = 3


@dataclass(frozen=True)
class Figure:
    name: str
    seconds: float
    """The target."""
    code: str
    needs_data: bool = True
    cold: bool = False
    """Whether each run starts with an empty cache."""


SCORING = """
import random
from icl_gap import load_benchmark
from icl_gap.programs.sparql import SPARQL
from icl_gap.scoring import score_batch
rng = random.Random(0)
targets = [e.target for e in load_benchmark("cfq").test]
golds = [rng.choice(targets) for _ in range(100_000)]
def rearranged(program):
    head, _, body = program.partition(" WHERE { ")
    clauses = body.removesuffix(" }").split(" . ")
    rng.shuffle(clauses)
    text = f"{head} WHERE {{ {' . '.join(clauses)} }}"
    for n in range(1, 6):  # ?x0 is the head's; the others change places
        text = text.replace(f"?x{n} ", f"?y{6 - n} ")
    return text.replace("?y", "?x")
predictions = PREDICTIONS
begin = time.perf_counter()
scores = score_batch(predictions, golds, SPARQL)
seconds = time.perf_counter() - begin
"""

SAMPLING = """
import icl_gap
cfq = icl_gap.load_benchmark("cfq")
TOKENIZER
begin = time.perf_counter()
for condition in ("id", "ood"):
    icl_gap.sample_exemplars(
        cfq, query_split="QUERIES", condition=condition, shots=10, seed=0, limit=1045,
        tokenize=tokenize,
    )
seconds = time.perf_counter() - begin
"""

STRATEGY = """
import icl_gap
from icl_gap.programs.sparql import SPARQL
from icl_gap.programs.trees import Structures
cfq = icl_gap.load_benchmark("cfq")
begin = time.perf_counter()
icl_gap.sample_exemplars(
    cfq, query_split="test", condition="ood", shots=10, seed=0, limit=1045,
    selection="SELECTION", structures=Structures(SPARQL.lenient_tree),
)
seconds = time.perf_counter() - begin
"""

BPE = """
import os
from pathlib import Path
from icl_gap.models import RandomInitSpec, identify, load_tokenizer
spec = RandomInitSpec(tokenizer=Path(os.environ["ICL_GAP_DATA"]) / "tokenizers" / "gpt2")
tokenize = load_tokenizer(spec, identify(spec))
"""

FIGURES = (
    Figure("icl-gap --help", 0.4, "subprocess.run([HELP, '--help'])", needs_data=False),
    Figure("SCAN ready", 0.5, "import icl_gap; icl_gap.load_benchmark('scan')", needs_data=False),
    Figure("CFQ MCD1 cold", 4, "import icl_gap; icl_gap.load_benchmark('cfq')", cold=True),
    Figure("CFQ MCD1 cached", 1, "import icl_gap; icl_gap.load_benchmark('cfq')"),
    *(
        Figure(
            f"CFQ exemplars, 1045 {side} queries x 10 shots x both conditions, {name}",
            15,
            SAMPLING.replace("TOKENIZER", tokenizer).replace("QUERIES", side),
        )
        for side in ("test", "train")
        for name, tokenizer in (("words", "tokenize = str.split"), ("GPT-2 BPE", BPE))
    ),
    *(
        Figure(
            f"CFQ exemplars by {selection}, 1045 queries x 10 shots, a pool of 95,743",
            30,
            STRATEGY.replace("SELECTION", selection),
        )
        for selection in ("bm25", "cover_utterance", "cover_ls", "dpp", "length")
    ),
    Figure(
        "100,000 CFQ pairs scored, clauses shuffled and variables renamed",
        10,
        SCORING.replace("PREDICTIONS", "[rearranged(g) for g in golds]"),
    ),
    Figure(
        "100,000 CFQ pairs scored, other programs",
        10,
        SCORING.replace("PREDICTIONS", "[rng.choice(targets) for _ in golds]"),
    ),
)


def seconds(figure: Figure, cache: str) -> float:
    """Run a figure's code in a process of its own, on one core.

    The code may set `seconds` itself, to time a part; otherwise the whole process counts.
    """
    code = (
        "import subprocess, sys, time\n"
        f"HELP = {str(Path(sys.executable).parent / 'icl-gap')!r}\n"
        f"seconds = None\n{figure.code}\nprint(seconds, file=sys.stderr)"
    )
    env = os.environ | {"ICL_GAP_CACHE": cache, "OMP_NUM_THREADS": "1"}
    env["RAYON_NUM_THREADS"] = "1"
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    whole = time.perf_counter() - begin
    told = done.stderr.splitlines()[-1]
    return whole if told == "None" else float(told)


def main() -> int:
    """Print each figure; the exit code is 1 if one misses its target."""
    missed = 0
    with tempfile.TemporaryDirectory() as cache:
        for figure in FIGURES:
            if figure.needs_data and "ICL_GAP_DATA" not in os.environ:
                print(f"  left out    {figure.name}: ICL_GAP_DATA is not set")
                continue
            times = []
            for _ in range(RUNS):
                with tempfile.TemporaryDirectory() as empty:
                    times.append(seconds(figure, empty if figure.cold else cache))
            median = statistics.median(times)
            missed += median > figure.seconds
            mark = "ok    " if median <= figure.seconds else "MISSED"
            print(f"{mark} {median:6.2f} s  (target {figure.seconds:4.1f} s)  {figure.name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
