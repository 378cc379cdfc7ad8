# A short front: each verb is a few lines that anyone can type by hand.
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := # where a machine sets it, each stage would compile its libraries anew

.PHONY: demo test lint bench dag up clean

demo: ## the main job: data, three trainings, two quantizations, exams, votes, promotion
	@infra/envs/build base awq fp8
	aimo run

test: ## every test on real parts, a real vLLM server among them
	@infra/envs/build base awq fp8 vllm
	$(MAKE) --no-print-directory lint
	OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0 HF_HUB_OFFLINE=1 pytest

lint:
	ruff check
	ruff format --check
	mypy

bench: ## speeds, as paired ratios: one table, reports/benchmarks.md
	@infra/envs/build base vllm peers
	OMP_NUM_THREADS=1 GOMP_SPINCOUNT=0 python -m benchmarks

dag: ## the graph
	dvc dag

up: ## a Prefect server with the weekly retraining deployed on it (infra/prefect.yaml)
	aimo up

clean: ## what can be made again; DVC's cache and the environments stay
	rm -rf .aimo code models data runs reports/plots reports/index.html
