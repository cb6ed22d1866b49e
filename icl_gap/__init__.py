"""Measure how well language models generalize compositionally in context."""
