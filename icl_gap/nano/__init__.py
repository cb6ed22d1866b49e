"""Nano models: very small language models that learn SCAN's lexicon in context, and their recipe.

`weights/` holds one folder a model, as `transformers` writes it; a sweep names a model by its
folder. `python -m icl_gap.nano.train` trains one; `training_recipe` says on what. See `README.md`.
"""
