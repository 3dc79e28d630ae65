# On a fresh machine with Python 3.11 to 3.13, two commands are enough: make run, make test.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.PHONY: run test stress lint chromium pacs format bench model model-hospitals clean

run: $(VENV)/.installed
	@echo "The dashboard opens on http://127.0.0.1:$(PORT) (Ctrl-C stops it)."
	@$(BIN)/streamlit run streamlit_app.py --server.port $(PORT)

# Hundreds of processes are started: each takes the bytecode of those before it, and one thread for linear algebra.
test: $(VENV)/.installed-dev lint chromium pacs
	@echo "Running all tests ..."
	@PYTHONDONTWRITEBYTECODE= OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder

stress: $(VENV)/.installed-dev
	@echo "Reading hundreds of thousands of damaged images; this takes a while ..."
	@$(BIN)/python bench/stress_films.py
	@echo "Killing writers, starting runs at the same time, filling the disk ..."
	@$(BIN)/python bench/faults.py
	@echo "Killing training runs, filling their disk, resuming them; this takes a while ..."
	@$(BIN)/python bench/broken_runs.py
	@echo "Serving many readers at the same time with the default model ..."
	@$(BIN)/python bench/load.py --home $${CXR_HOME:-.} --sessions 20 --films 50
	@$(BIN)/python bench/load.py --home $${CXR_HOME:-.} --sessions 32 --minutes 10 --pause 20

lint: $(VENV)/.installed-dev
	@echo "Checking style and types ..."
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# The browser for the tests of the pages. If it is missing and cannot be installed, these tests are skipped.
chromium:
	@if ! command -v chromium >/dev/null && command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium for the tests of the pages ..."; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null || true; \
	fi

# A DICOM archive on this machine, and two validators, for the tests of the exchange with a PACS; skipped without them.
pacs:
	@if ! { command -v Orthanc && command -v dciodvfy && command -v dsrdump; } >/dev/null 2>&1 \
		&& command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Orthanc and DICOM validators for the tests of the exchange ..."; \
		(apt-get update -qq && apt-get install -y -qq --no-install-recommends \
			orthanc orthanc-dicomweb dicom3tools dcmtk) >/dev/null 2>&1 || true; \
	fi

# Compares speed with alternatives, in a separate environment; takes about an hour on two idle cores.
bench: $(VENV)-bench/.installed
	@$(VENV)-bench/bin/python -m bench.speed

$(VENV)-bench/.installed: requirements-bench.txt requirements.txt
	@echo "Installing the alternatives ..."
	@$(PYTHON) -m venv $(VENV)-bench
	@$(VENV)-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

# Trains vgg16-broad again, under another name, on the X-rays in DATA; takes hours on two
# cores. No model may have that name yet.
RECIPE := vgg16-broad
MODEL := $(RECIPE)-again
SETS = --data $(DATA)/kermany --data $(DATA)/covid-chestxray --data $(DATA)/nih-adult
model: $(VENV)/.installed
	@test -d "$(DATA)" || { echo "Name the folder of the X-rays: make model DATA=FOLDER"; exit 2; }
	$(BIN)/python -m cxr train $(RECIPE) --name $(MODEL) $(SETS)
	$(BIN)/python -m cxr audit-model $(MODEL) $(SETS)

# The default model, in two steps: the recipe with all blocks, which needs a GPU or days, and blocks 3 to 5 further, which
# takes an hour or two on two cores. Two of the datasets get changed manifests first.
STEP := vgg16-hospitals-first-step
HOSPITALS = --data $(DATA)/kermany --data data/changed/covid-chestxray --data data/changed/nih-adult \
	--data $(DATA)/radiography --data $(DATA)/covid-cxnet --data $(DATA)/tuberculosis
model-hospitals: $(VENV)/.installed
	@test -d "$(DATA)" || { echo "Name the folder of the X-rays: make model-hospitals DATA=FOLDER"; exit 2; }
	$(BIN)/python bench/training_data.py "$(DATA)" data/changed
	$(BIN)/python -m cxr train vgg16-hospitals --name $(STEP) $(HOSPITALS) --set training.half_bits=10
	$(BIN)/python -m cxr train vgg16-hospitals --name vgg16-hospitals-again $(HOSPITALS) \
		--set trunk.weights=shelf:$(STEP) --set head.keep=true --set trunk.train=block3 --set optimiser.head_rate=1 \
		--set optimiser.warmup_epochs=0.25 --set training.epochs=4 --set training.steps_per_epoch=80
	$(BIN)/python -m cxr audit-model vgg16-hospitals-again $(HOSPITALS)

format: $(VENV)/.installed-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache

$(BIN)/python:
	@echo "Creating a virtual environment in $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11 to 3.13 is needed.")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing the packages of the dashboard (takes a minute or two, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-speed.txt requirements-dicom.txt requirements-cluster.txt requirements-studies.txt requirements-search.txt requirements.txt | $(BIN)/python
	@echo "Installing the packages for the tests ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $(VENV)/.installed $@
