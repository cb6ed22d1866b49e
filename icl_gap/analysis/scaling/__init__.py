"""The gap against scale: fits that allow models to scatter, tests of a trend, verdicts.

regression.py, scatter.py   one curve; the scatter of models about the lines of all curves
families.py, fit.py         the curves of a family, and their fits
common.py                   one slope for several curves
lines.py, line_posterior.py, mixtures.py   the line with its bands and predictions
trends.py, verdicts.py      the permutation test, and the rule of every claim
forms.py, comparison.py     other curves
scale.py, slopes.py         scales, and the records of fits
"""
