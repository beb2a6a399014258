"""Benchmarks: each prints ratios against a limit that was measured in the same run."""
