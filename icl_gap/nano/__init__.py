"""Nano models: very small language models that learn SCAN's lexicon in context, and their recipe.

The weights lie in `weights/`, each in a folder as `transformers` writes it, and are named in sweeps
by the folder's name. `python -m icl_gap.nano.train` makes them; see `recipe` for what they learn
from.
"""
