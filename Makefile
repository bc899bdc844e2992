# Two commands do everything on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt
# uv unpacks in parallel; where it cannot install (an index that only pip is configured for), pip does.
UV     := $(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt

# Without compiled files each of the hundreds of processes that the tests start would compile every library anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: site chaos help setup demo test setup-isaaclab test-isaaclab test-warp check regenerate check-deploy rehearse dist bench format clean
.DEFAULT_GOAL := help

help:      ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 18

setup: $(VENV)/.local

$(VENV)/.local: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): torch, then the simulator and learners (a minute or two, once)"
	@$(PIP) torch==2.13.0 uv
	@$(UV) -e '.[local]' || $(PIP) -e '.[local]'
	@touch $@

$(VENV)/.dev: $(VENV)/.local
	@$(UV) -e '.[local,azureml,release,dev,docs]' || $(PIP) -e '.[local,azureml,release,dev,docs]'
	@$(UV) --no-deps leapp || $(PIP) --no-deps leapp   # its loader; what it draws with needs a compiler on some machines
	@touch $@

demo: $(VENV)/.local    ## train, export, check and film a policy on this machine (TASK=...)
	@$(BIN)/gaitway demo $(if $(TASK),--task $(TASK))

test: $(VENV)/.dev      ## run the tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

ISAACLAB ?= $(or $(GAITWAY_ISAACLAB),$(HOME)/.cache/gaitway/isaaclab-3.0)

setup-isaaclab:          ## set up the real Isaac Lab 3.0 on the CPU outside this folder (about 6 GB, Python 3.12)
	@$(PYTHON) tests/isaaclab/setup/make.py $(ISAACLAB)

test-isaaclab: $(VENV)/.dev   ## run the tests against the real Isaac Lab (at most 10 minutes; needs setup-isaaclab)
	@if [ -x $(ISAACLAB)/venv/bin/python ]; then \
	  GAITWAY_ISAACLAB=$(ISAACLAB) $(BIN)/python -m pytest tests/isaaclab -n 2 --dist loadfile; \
	else echo "skipped: Isaac Lab 3.0 is not set up in $(ISAACLAB): make setup-isaaclab"; fi

test-warp: $(VENV)/.dev   ## run the tests of --simulator mujoco-warp (0.4 GB once; minutes, most of them to compile its kernels)
	@$(UV) -e '.[warp]' || $(PIP) -e '.[warp]'
	@$(BIN)/python -m pytest tests/warp_physics

GENERATED := -m generated tests/gaitway tests/deploy

check: $(VENV)/.dev     ## format, lint, types, import rules, generated files up to date
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest tests/test_import_rules.py
	@$(BIN)/python -m pytest $(GENERATED)

regenerate: $(VENV)/.dev  ## write every generated file again: goldens, docs/settings.md, workflow templates
	@$(BIN)/python -m pytest $(GENERATED) --update-goldens
	@git --no-pager diff --stat

check-deploy: .venv-deploy/.ready $(VENV)/.dev   ## check deploy/: Terraform, policies, manifests, scripts (needs terraform)
	@GAITWAY_PYTHON=$(BIN)/python .venv-deploy/bin/python deploy/checks/check.py
	@$(BIN)/python -m pytest tests/deploy

.venv-deploy/.ready: deploy/checks/requirements.txt
	@test -x .venv-deploy/bin/python || $(PYTHON) -m venv .venv-deploy
	@echo "setting up .venv-deploy: checkov, kubernetes-validate, shellcheck (about a minute, once)"
	@.venv-deploy/bin/pip install --quiet --disable-pip-version-check -r deploy/checks/requirements.txt
	@touch $@

rehearse: $(VENV)/.dev  ## walk the whole journey with stand-ins for Azure, the cluster and OSMO
	@$(BIN)/python tests/rehearsal/rehearse.py

dist: $(VENV)/.dev      ## build wheel and sdist, install them outside this folder and use them
	@rm -rf dist && $(BIN)/uv build --quiet --out-dir dist .
	@$(BIN)/python tests/dist/smoke.py dist

chaos: $(VENV)/.dev  ## inject faults and kills for twenty minutes, seeded, and print what held (docs/reliability.md)
	@$(BIN)/python -m benchmarks.chaos

site: $(VENV)/.docs    ## write the documentation site to site/, to be opened from the disk; links are checked
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict && echo "site/index.html"

$(VENV)/.docs: $(VENV)/.local
	@$(UV) -e '.[local,docs]' || $(PIP) -e '.[local,docs]'
	@touch $@

bench: $(VENV)/.dev .venv-peers/.ready  ## print the performance table that the README quotes
	@$(BIN)/python benchmarks/bench.py --peers .venv-peers/bin/python

.venv-peers/.ready: benchmarks/peers-requirements.txt
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@echo "setting up .venv-peers: envpool, to compare with (about 1 GB, once)"
	@.venv-peers/bin/pip install --quiet --disable-pip-version-check -r $< || echo "envpool does not install here: its rows are left out"
	@touch $@

format: $(VENV)/.dev
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

clean:     ## remove what make and gaitway made here
	rm -rf $(VENV) .venv-deploy .gaitway .tmp .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist src/*.egg-info
