"""Executors: ways of running jobs elsewhere than in this process."""
