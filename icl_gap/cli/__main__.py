"""`python -m icl_gap.cli` is `icl-gap`."""

from icl_gap.cli import main

main()
