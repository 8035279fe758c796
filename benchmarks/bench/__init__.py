"""What the benchmarks share: a lean stand-in for GitHub, processes, results."""
