"""The hierarchical check: a Bayesian logistic mixed model of single requests.

hierarchical.py        from results to counts, and from draws to gaps
hierarchical_fit.py    records of a check
mixed_model.py         the model and its sampler; JAX, NumPyro and ArviZ are imported here alone
g_computation.py       gaps and slopes from draws
predictive.py          posterior predictive checks
"""
