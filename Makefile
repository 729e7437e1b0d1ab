# driftgauge. `make help` lists what there is; `make demo` and `make test` do all their own set-up.

VENV   := .venv
PYTHON := $(VENV)/bin/python
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() + 1, 4))')# one more than cores: a third of their time tests wait
ALERTING = command -v prometheus >/dev/null && { command -v prometheus-alertmanager || command -v alertmanager; } >/dev/null

.PHONY: help demo demo-serve demo-loop demo-loop-serve test soak lint bench bench-large docs pictures image-test clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

demo: $(VENV)/.demo ## real flights through an embedded broker: findings in the terminal, under two minutes
	@$(PYTHON) -m monitor.demo run

demo-serve: $(VENV)/.demo ## the same, and keep the status page and /metrics open
	@$(PYTHON) -m monitor.demo serve

demo-loop: $(VENV)/.demo ## the closed loop: the model gets worse, Prometheus and Alertmanager say so, the hook trains it anew; under five minutes
	@$(ALERTING) || bash tests/install-prometheus.sh
	@$(PYTHON) -m monitor.demo loop

demo-loop-serve: $(VENV)/.demo ## the same, and keep the status page and /metrics open
	@$(ALERTING) || bash tests/install-prometheus.sh
	@$(PYTHON) -m monitor.demo loop-serve

# Many tests start the program: where nothing may be kept compiled, each start would compile all of it anew.
test soak: export PYTHONDONTWRITEBYTECODE :=

test: $(VENV)/.test ## every check and test, on Apache Kafka, Prometheus and Alertmanager where they can be had
	@bash tests/install-prometheus.sh
	@$(MAKE) --no-print-directory lint
	$(PYTHON) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

soak: $(VENV)/.test ## twenty minutes of traffic while monitor and broker are killed at random (DRIFTGAUGE_SOAK_MINUTES, DRIFTGAUGE_SOAK_SEED)
	$(PYTHON) -m pytest -m soak -s tests/soak

lint: $(VENV)/.test ## style, types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.test ## speed and memory: prints a table, writes benchmarks/results.json
	$(PYTHON) -m benchmarks

bench-large: $(VENV)/.test ## the label join at 50 million pending predictions: 5 GB of disk, five minutes
	$(PYTHON) -m benchmarks large

docs: $(VENV)/.test ## regenerate docs/metrics.md, docs/configuration.md, rules and dashboards
	$(PYTHON) -m monitor.generate

pictures: $(VENV)/.demo ## draw docs/images anew from a run of the demonstration (needs Chromium)
	@$(PYTHON) docs/images/make.py

image-test: $(VENV)/.test ## build the container image and run driftgauge in it (needs root, buildah and debootstrap)
	bash deploy/image-test.sh

clean: ## remove what these targets made
	rm -rf $(VENV) .state .cache build dist *.egg-info

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "driftgauge needs Python 3.11 or newer; python3 is $$(python3 --version)"; exit 1; }
	python3 -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	@echo "installing driftgauge and the demo's data into $(VENV) ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml
	@echo "installing driftgauge and what its tests need into $(VENV) ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@
