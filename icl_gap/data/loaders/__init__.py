"""Loaders: one module for each benchmark, which reads its published files or generates it."""
