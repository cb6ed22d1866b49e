"""Models without weights: baselines, and a mock for tests."""
