# The commands of the README. All set up what they need first; see tools/setup.
#
#   PYTHON=python3.12 make test     with a Python of your choice (3.11 or newer)
#   TIERS="lint py311" make test    only some tiers

.PHONY: demo docs test setup

# On a terminal the demo gets a process group of its own, so that Ctrl-C reaches it and not
# make, which would report a clean stop as an error.
demo: setup
	@if [ -t 0 ]; then set -m; .venv/bin/scaler demo; else exec .venv/bin/scaler demo; fi

test: setup
	@exec .venv/bin/python tools/test.py

# To be read, so a warning is no error here; tox's docs tier is stricter.
docs: setup
	@.venv/bin/sphinx-build -q -b html docs docs/_build/html
	@echo "the documentation: file://$(CURDIR)/docs/_build/html/index.html"

setup:
	@tools/setup
