.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory

UV_VERSION := 0.13.9
UV := .tools/uv-$(UV_VERSION)/bin/uv
SAM := SAM_CLI_TELEMETRY=0 PATH="$(CURDIR)/.venvs/sam/bin:$$PATH" .venvs/sam/bin/sam
REQUIREMENTS := layers/dependencies/requirements.txt
ENVIRONMENTS := .venv/installed .venvs/sam/installed .venvs/runtime/installed
EXPORT := $(UV) export --quiet --locked --only-group functions --no-header --no-annotate
AUDIT := UV_HTTP_RETRIES=1 $(UV) audit --quiet --locked
# What runs on Lambda and on the operator's machine, without the tools of developers.
SHIPPED := $(addprefix --no-group ,bench checkov dev runtime sam)

# Prints the first Python 3.13 that really runs: pyenv puts a python3.13 on PATH that may lead nowhere, and it may be
# installed without being on PATH at all.
account_home := $(shell eval echo "~$$(id -un)")
find_python = for python in \
	    "$$(command -v python3.13)" \
	    "$$PYENV_ROOT"/versions/3.13*/bin/python3.13 \
	    "$$HOME"/.pyenv/versions/3.13*/bin/python3.13 $(account_home)/.pyenv/versions/3.13*/bin/python3.13 \
	    "$$HOME"/.local/share/uv/python/cpython-3.13*/bin/python3.13 \
	    /usr/local/bin/python3.13 /opt/*/bin/python3.13 /usr/bin/python3.13 \
	    .tools/python/cpython-3.13*/bin/python3.13; do \
	    "$$python" -c 'import sys; print(sys.executable)' 2>/dev/null && break; done

.PHONY: help demo test fuzz chaos load bench bench-copy bench-scaling bench-cost bench-receiver bench-table check audit sbom lock format clean
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(ENVIRONMENTS) ## play a meeting against the stack on this machine; KEEP=1 leaves it running
	@.venv/bin/python -m local.demo

test: $(ENVIRONMENTS) ## run all tests, the last ones on the deployed stack
	@.venv/bin/python -m pytest --numprocesses 2

chaos: $(ENVIRONMENTS) ## meetings at random while everything fails, compared with what was sent; SEED, MEETINGS=200
	@.venv/bin/python -m local.chaos $(if $(SEED),--seed $(SEED)) $(if $(MEETINGS),--meetings $(MEETINGS))

load: $(ENVIRONMENTS) ## how fast events are taken and files archived on this machine
	@.venv/bin/python -m local.load

bench: bench-copy bench-scaling bench-cost bench-receiver ## measure the copy against its peers (half an hour); CASES, TOOLS, ROUNDS and SIZE narrow it down

bench-table: .venv/installed
	@PYTHONPATH=layers/jaas_archive .venv/bin/python -m benchmarks.table run

bench-copy bench-scaling bench-cost bench-receiver: .venvs/bench/installed
	@PYTHONPATH=layers/jaas_archive .venvs/bench/bin/python -m benchmarks.$(@:bench-%=%)

check: .venv/installed .venvs/sam/installed .venvs/checkov/installed ## lint, format, types, template, lock, known vulnerabilities
	@.venv/bin/ruff check --quiet
	@.venv/bin/ruff format --quiet --check || { .venv/bin/ruff format --diff; exit 1; }
	@.venv/bin/mypy --no-error-summary
	@$(EXPORT) | diff - $(REQUIREMENTS) || { echo "$(REQUIREMENTS) is not what the lock says: run make lock"; exit 1; }
	@$(SAM) validate --lint --region us-east-1
	@out=$$(.venvs/checkov/bin/checkov --config-file .checkov.yaml) || { echo "$$out"; exit 1; }
	@$(AUDIT) $(SHIPPED) || { [ $$? -gt 1 ] && \
	    echo "NOT AUDITED, as said above: nobody looked for known vulnerabilities. Run make audit where api.osv.dev answers." >&2; }

audit: $(UV) ## look for known vulnerabilities in everything locked, tools of developers too
	@$(AUDIT)

sbom: $(UV) ## write sbom.json (CycloneDX): what others made and runs on Lambda, with hashes
	@$(UV) export --quiet --locked --only-group functions --format cyclonedx1.5 --output-file sbom.json >/dev/null

fuzz: .venvs/fuzz/installed ## throw inputs at the webhook for five minutes, guided by coverage; SECONDS says how long
	@mkdir -p .local/fuzz
	@PYTHONPATH=layers/jaas_archive .venvs/fuzz/bin/python tests/fuzz/webhook.py -max_total_time=$(or $(SECONDS),300) \
	    -artifact_prefix=.local/ .local/fuzz events

lock: .tools/python.path ## lock again after a change to pyproject.toml, and export the dependencies layer
	@$(UV) lock --quiet --python "$$(cat $<)"
	@mkdir -p $(dir $(REQUIREMENTS))
	@$(EXPORT) --output-file $(REQUIREMENTS) >/dev/null

format: .venv/installed ## format the code and mend what ruff can mend
	@.venv/bin/ruff check --quiet --fix --exit-zero
	@.venv/bin/ruff format --quiet

clean: ## remove everything that make has made
	@rm -rf .tools .venv .venvs .aws-sam .local .hypothesis .mypy_cache .pytest_cache .ruff_cache sbom.json
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- environments -----------------------------------------------------------------------------------------------------
# uv comes as a package, into this folder: no installer, no rights, whatever Python is there.
$(UV):
	@echo "installing uv $(UV_VERSION)"
	@for python in "$$($(find_python))" python3; do "$$python" -m pip --version >/dev/null 2>&1 && break; done \
	    && "$$python" -m pip install -qq --disable-pip-version-check --no-warn-script-location --root-user-action ignore \
	        --target .tools/uv-$(UV_VERSION) uv==$(UV_VERSION) \
	    || { echo "No Python with pip was found to install uv with; python3 -m pip must work."; exit 1; }
	@touch $@

.tools/python.path: $(UV)
	@$(find_python) >$@ || { echo "installing Python 3.13"; \
	    $(UV) python install --quiet --no-bin --install-dir .tools/python 3.13 && $(find_python) >$@; }

sync = echo "installing $(@D)" && UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --quiet --locked --compile-bytecode --python "$$(cat $<)"

.venv/installed: .tools/python.path pyproject.toml uv.lock
	@$(sync)
	@touch $@

# What the layers bring, and the peers' packages: one environment, so that all are measured on the same Python and boto3.
.venvs/bench/installed: .tools/python.path pyproject.toml uv.lock
	@$(sync) --no-default-groups --group bench --group functions
	@touch $@

.venvs/%/installed: .tools/python.path pyproject.toml uv.lock
	@$(sync) --only-group $*
	@touch $@
