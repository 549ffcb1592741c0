# Targets of the project. Each sets up what it needs; `make` alone runs lint, types and tests.

SHELL := /bin/bash
.DEFAULT_GOAL := check
MAKEFLAGS += --no-print-directory
# Variables of this make are not passed on to a make that a program starts.
MAKEOVERRIDES :=
unexport ARGS

PYTHON := .venv/bin/python
RECORDING := tests/data/hey-jarvis-what-time-is-it.wav
BENCH  := $(if $(wildcard bench/*.py),bench)
CODE   := jarvis-ear/src jarvis-ear-models/src tests tools examples $(BENCH)
TYPED  := jarvis-ear/src tests/fakes tools examples $(BENCH)

# All tests run in one process more than there are cores, because some wait for other programs; a
# part of them in one process, which begins sooner.
ALL_TESTS := -n auto --maxprocesses 4 --dist worksteal --cov --cov-report=term-missing

# Tests start hundreds of programs, each of which would compile all its modules.
unexport PYTHONDONTWRITEBYTECODE

# The environment is up to date as long as the files that determine its content are unchanged.
LOCKS := $(shell { pwd -P; cat requirements*.txt pyproject.toml tools/setup.sh tests/node/package-lock.json; } | sha256sum | cut -c -16)
READY_TO_RUN  := .venv/.ready-run-$(LOCKS)
READY_TO_HEAR := .venv/.ready-neural-$(LOCKS)
READY_TO_TEST := .venv/.ready-test-$(LOCKS)

.PHONY: check run install uninstall deb dist test long lint types docs pictures golden bench bench-guard wake-head chaos killpoints faults unplug soak lock setup clean help

check: lint types test           ## run lint, types and test

# VOICE=neural: whisper understands and Piper speaks. Their models are fetched once, if the person agrees.
NEURAL := JARVIS_BACKEND_STT__ENGINE=faster-whisper JARVIS_BACKEND_TTS__ENGINE=piper

run: $(if $(filter neural,$(VOICE)),$(READY_TO_HEAR),$(READY_TO_RUN))  ## run ear and backend: say "Hey Jarvis, what time is it" (VOICE=neural, ARGS="--device usb")
	$(if $(filter neural,$(VOICE)),@for model in tiny.en joe; do .venv/bin/jarvis-backend models fetch $$model || exit 1; done)
	@$(if $(filter neural,$(VOICE)),$(NEURAL)) JARVIS_EAR_WITH_BACKEND=true JARVIS_EAR_LOG__TRANSCRIPTS=true JARVIS_EAR_CONSOLE__TRANSCRIPTS=true \
		JARVIS_EAR_MICROPHONE__FALLBACK=$(RECORDING) .venv/bin/jarvis-ear run $(ARGS)

install: $(READY_TO_RUN)         ## install the system service, as root (ARGS=--with-backend, DESTDIR=), or without root ARGS=--user
	@.venv/bin/jarvis-ear service install $(if $(DESTDIR),--destdir $(DESTDIR)) $(ARGS)

uninstall: $(READY_TO_RUN)       ## remove the system service, as root (ARGS=--purge), or without root ARGS=--user
	@.venv/bin/jarvis-ear service uninstall $(if $(DESTDIR),--destdir $(DESTDIR)) $(ARGS)

deb: $(READY_TO_RUN)             ## build a Debian package with all dependencies, in build/
	@$(PYTHON) tools/make_deb.py

dist: $(READY_TO_TEST)           ## build wheels and source distributions, in dist/
	@$(PYTHON) tools/make_dist.py && $(PYTHON) -m twine check --strict dist/*

test: $(READY_TO_TEST)           ## run the test suite on all cores, with branch coverage (ARGS="-k wake")
	@$(PYTHON) -m pytest $(if $(ARGS),$(ARGS),$(ALL_TESTS))

long: $(READY_TO_TEST)           ## run tests that take minutes: faults, short chaos, kill points, unplugging
	@$(PYTHON) -m pytest -m "long and not slow" -o faulthandler_timeout=300 $(ARGS)

unplug: $(READY_TO_TEST)         ## run every microphone fault twenty times; two minutes
	@$(PYTHON) -m pytest -m unplug -o faulthandler_timeout=300 $(ARGS)

lint: $(READY_TO_TEST)           ## check style, import contracts and spelling
	@$(PYTHON) -m ruff check --quiet $(CODE)
	@$(PYTHON) -m ruff format --quiet --check $(CODE)
	@said=$$(.venv/bin/lint-imports --no-logo) || { echo "$$said"; exit 1; }
	@$(PYTHON) -m codespell_lib

types: $(READY_TO_TEST)          ## check types with mypy --strict
	@$(PYTHON) -m mypy $(TYPED)

docs: $(READY_TO_TEST)           ## write the generated pages of docs/
	@$(PYTHON) tools/state_machine.py > docs/.new && mv docs/.new docs/state-machine.md
	@$(PYTHON) tools/delivery_states.py docs/delivery.md > docs/.new && mv docs/.new docs/delivery.md
	@.venv/bin/jarvis-ear config --reference > docs/.new && mv docs/.new docs/configuration.md
	@$(PYTHON) tools/journal_page.py docs/journal.md > docs/.new && mv docs/.new docs/journal.md
	@$(PYTHON) tools/backend_page.py docs/backend.md > docs/.new && mv docs/.new docs/backend.md
	@$(PYTHON) tools/metrics_page.py docs/metrics.md > docs/.new && mv docs/.new docs/metrics.md
	@$(PYTHON) tools/import_diagram.py docs/architecture.md > docs/.new && mv docs/.new docs/architecture.md
	@$(PYTHON) tools/code_index.py docs/glossary.md > docs/.new && mv docs/.new docs/glossary.md
	@$(PYTHON) tools/journal_catalog.py > docs/.new && mv docs/.new systemd/jarvis-ear.catalog
	@$(PYTHON) tools/licences.py LICENSES.md > docs/.new && mv docs/.new LICENSES.md
	@for page in man/jarvis-ear.1 man/jarvis-backend.1; do \
		$(PYTHON) tools/man_page.py $$page > docs/.new && mv docs/.new $$page || exit 1; done

pictures: $(READY_TO_TEST)       ## write the pictures of docs/images: the console in a browser
	@PYTHONPATH=tests $(PYTHON) tools/console_pictures.py

golden: $(READY_TO_TEST)         ## regenerate the expected events of tests/replay, for review
	@$(PYTHON) tests/replay/golden.py

bench: $(READY_TO_TEST)          ## measure what the ear costs and how well it hears
	@$(PYTHON) -m bench $(ARGS)

bench-guard: $(READY_TO_TEST)    ## fail if the ear costs a quarter more than it did (ARGS=--write)
	@$(PYTHON) -m bench.guard $(ARGS)

wake-head: $(READY_TO_TEST)      ## train the wake head from nothing and compare it with the shipped one (ARGS="--audio DIR")
	@PYTHONPATH=. $(PYTHON) tools/train_wake_head.py $(ARGS)

chaos: $(READY_TO_TEST)          ## deliver 500 utterances among 150 random faults (ARGS="--seed 7 --protocol realtime")
	@PYTHONPATH=tests $(PYTHON) -m chaos.random_faults $(ARGS)

killpoints: $(READY_TO_TEST)     ## kill the ear at every step of a delivery (ARGS="--rounds 50 --protocol session")
	@PYTHONPATH=tests $(PYTHON) -m chaos.killpoints $(ARGS)

soak: $(READY_TO_TEST)           ## run a day of household sound through the ear, in half an hour (ARGS="--hours 1")
	@PYTHONPATH=tests $(PYTHON) -m soak $(ARGS)

faults: $(READY_TO_TEST)         ## run every fault at its real length; a quarter of an hour
	@$(PYTHON) -m pytest tests/faults -m "slow or not slow" -o faulthandler_timeout=600 $(ARGS)

lock:                            ## resolve pyproject.toml into the lock files (ARGS=--upgrade)
	@tools/lock.sh $(ARGS)

setup: $(READY_TO_RUN) $(READY_TO_TEST)  ## set up everything, run nothing

clean:                           ## remove everything that make creates
	@rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage* jarvis-ear/src/*.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

help:                            ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1 - /p' Makefile | expand

$(READY_TO_RUN):
	@tools/setup.sh run $(LOCKS)

$(READY_TO_HEAR):
	@tools/setup.sh neural $(LOCKS)

$(READY_TO_TEST):
	@tools/setup.sh test $(LOCKS)
