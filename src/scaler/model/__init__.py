"""Decisions, and nothing else: jobs, demand, a runner's life and the plan. No trio, no I/O."""
