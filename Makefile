# The daily commands. `make` alone lists them.
.PHONY: help setup lint unit test docs check pictures
PYTHON ?= python3

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):  ## /\1\t/p' Makefile | expand -t 12

setup:  ## make .venv with ftapp and all that its tests and documentation need
	$(PYTHON) -m venv .venv
	.venv/bin/pip install -e '.[test,docs]'

lint:  ## the checks of .pre-commit-config.yaml: style, types, imports
	bash .ci/lint

unit:  ## the quick tests
	.venv/bin/pytest tests/unit

test:  ## all tests but the slow ones, which CI runs too
	.venv/bin/pytest

docs:  ## build the documentation into site/; a warning is an error
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict

check:  ## what CI does, on a clean copy of the last commit
	copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && git clone --quiet . "$$copy/ftapp" && bash "$$copy/ftapp/.ci/run"

pictures:  ## draw the pictures of the screens as they are
	.venv/bin/python docs/make/pictures.py
