# make run    set up everything and serve on http://127.0.0.1:8000 (PORT=… changes it)
# make test   set up everything, check and test
# make help   the rest

PORT ?= 8000
PYTHON ?= python3
BIN := .venv/bin
ADMIN = http://$(HOST):$(PORT)/admin/
MANAGE := $(BIN)/python manage.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# As the service reads it: the shell's, else that of .env, else the default.
PROFILE := $(or $(VOICEBOT_PROFILE),$(shell sed -n 's/^ *VOICEBOT_PROFILE *= *//p' .env 2>/dev/null),embedded)
HOST ?= $(or $(VOICEBOT_HOST),$(shell sed -n 's/^ *VOICEBOT_HOST *= *//p' .env 2>/dev/null),127.0.0.1)
PACKAGES := $(if $(filter embedded,$(PROFILE)),.venv/embedded,.venv/all)

# Tests of what is kept in rows, which must do so in PostgreSQL too.
ROWS := tests/unit/test_locks.py tests/unit/test_cache* tests/unit/test_history* tests/unit/test_access* \
	tests/processes/test_one_synthesis.py \
	$(addprefix tests/api/test_,conversations.py jobs.py keys.py throttles.py)
# Those of what is asked of engines, which may be on a cluster.
ASKED := $(addprefix tests/api/test_,voice.py stream.py speech.py voices.py errors.py openai_audio.py)
BESIDE := .venv-cluster/bin/python -m tests.cluster.postgresql .venv-cluster/bin/python -m pytest --reuse-db -m "not weights"
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

.PHONY: run doctor audit admin cluster test test-cluster check format unit eval bench torture postman messages clean help screenshots

run: $(PACKAGES)  ## set up and serve
	@VOICEBOT_HOST=$(HOST) $(MANAGE) check_port $(PORT)
	@$(MANAGE) fetch_weights --profile
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) first_admin --if-none --address $(ADMIN)
	@VOICEBOT_HOST=$(HOST) $(MANAGE) check --tag access --database default --fail-level WARNING --verbosity 0 > /dev/null
	@echo "http://$(if $(filter 0.0.0.0,$(HOST)),127.0.0.1,$(HOST)):$(PORT) is the page: it answers once “Ready” is told. Ctrl-C stops it."
	@VOICEBOT_HOST=$(HOST) $(BIN)/uvicorn voicebot.asgi:application --host $(HOST) --port $(PORT) --lifespan off --no-access-log --no-proxy-headers --timeout-graceful-shutdown 25

doctor: $(PACKAGES)  ## what is missing, and what mends it
	@VOICEBOT_HOST=$(HOST) $(MANAGE) doctor --port $(PORT)

admin: $(PACKAGES)  ## make the operator's account, tell where the admin is
	@$(MANAGE) migrate --verbosity 0
	@$(MANAGE) first_admin --address $(ADMIN)

cluster: export VOICEBOT_RAY_ADDRESS := $(or $(VOICEBOT_RAY_ADDRESS),127.0.0.2:6379)
cluster: .venv/ray  ## run the engines on a cluster of this machine alone
	@VOICEBOT_RAY_ADDRESS= $(MANAGE) fetch_weights --profile
	@$(MANAGE) local_cluster

# Tests start many processes: what is compiled is kept, out of the way.
test unit: export PYTHONDONTWRITEBYTECODE :=
test unit: export PYTHONPYCACHEPREFIX := $(CURDIR)/var/pycache

# Files in the order of their folders, as the short ones of `unit` fill up the end; what brings a
# machine to its limits comes last, alone.
test: check  ## lint, types and every test, the real engines' included
	@$(MANAGE) fetch_weights --profile embedded
	@$(MANAGE) fetch_weights piper-en-joe-medium
	$(BIN)/pytest $(SIDE_BY_SIDE) --dist loadfile --no-loadscope-reorder --ignore tests/load --cov --cov-report=
	$(BIN)/pytest tests/load --cov --cov-append --cov-report=term:skip-covered --cov-fail-under=95

test-cluster: export VOICEBOT_TEST_CLUSTER := 1
test-cluster: .venv-cluster/dev  ## the tests of a cluster: it starts one, with a database, and kills parts of it
	$(BESIDE) tests/cluster tests/unit/test_manifests.py
	$(BESIDE) -p tests.cluster.through $(ASKED)
	$(BESIDE) $(ROWS) -W ignore::pytest.PytestUnraisableExceptionWarning

check: .venv/dev  ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .

# The plugin takes each process half a second, and is for tests of the API.
unit: .venv/dev  ## the quick tests, on all cores
	$(BIN)/pytest $(SIDE_BY_SIDE) -p no:schemathesis --dist worksteal tests/unit

format: .venv/dev  ## put the code in shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

eval: .venv/dev  ## word error rates on recorded speech
	@$(MANAGE) fetch_weights --profile embedded
	$(BIN)/python -m bench.eval
	$(BIN)/python -m bench.report

bench: .venv/dev  ## times of a turn and of its stages
	@$(MANAGE) fetch_weights --profile embedded
	$(BIN)/python -m bench.turn
	$(BIN)/python -m bench.openai
	$(BIN)/python -m bench.report

torture: .venv/dev  ## hostile and slow input, sound without speech, faults, crashes, for long
	$(BIN)/python -m bench.torture

audit: .venv/dev  ## known weaknesses of what is installed; asks the package index
	$(BIN)/pip-audit --strict

postman: $(PACKAGES)  ## make docs/voicebot.postman_collection.json anew
	@$(MANAGE) postman

messages: .venv/dev  ## collect and compile translations
	$(BIN)/python -m voicebot.messages

screenshots: .venv/dev  ## the pictures of the documentation
	@$(MANAGE) fetch_weights --profile embedded
	$(BIN)/python -m bench.screenshots

clean:  ## remove the virtual environment (var/ and its weights stay)
	rm -rf .venv .venv-cluster

help:
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

# One stamp per set of packages: installed once, and again when its list changes.
.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; PYTHON=… names another one."; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }  # half of one would pass for all of it

.venv/embedded: requirements-embedded.txt requirements.txt | .venv/bin/python
	@echo "Installing packages …"
	@$(BIN)/python -m voicebot.packages -r $< -c requirements.txt
	@touch $@

.venv/all: requirements.txt | .venv/bin/python
	@echo "Installing packages, torch among them: this takes a while …"
	@$(BIN)/python -m voicebot.packages -r $<
	@touch $@

.venv/ray: requirements-ray.txt $(PACKAGES)
	@echo "Installing packages of the cluster …"
	@$(BIN)/python -m voicebot.packages -r $< -c requirements.txt
	@touch $@

.venv-cluster/dev: requirements-ray.txt requirements-cluster-dev.txt requirements-dev.txt requirements.txt
	@echo "Installing packages of the cluster and its tests: this takes a while …"
	@$(PYTHON) -m venv .venv-cluster
	@.venv-cluster/bin/pip install --quiet -r requirements-dev.txt -r requirements-ray.txt -r requirements-cluster-dev.txt
	@touch $@

.venv/dev: requirements-dev.txt .venv/all
	@echo "Installing development packages …"
	@$(BIN)/python -m voicebot.packages -r $<
	@touch $@
