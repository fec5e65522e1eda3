"""PyTorch as a contestant of the benchmark: the protocol of bench/protocol.ts.

Usage: python3 torch-serve.py THREADS [tokens | chunks]; the form is that of recurrences.
"""

import importlib.util
import json
import os
import sys
import time
from pathlib import Path

import torch


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), Path(__file__).with_name(name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


extra_inputs = {"linear": [], "gla": ["logDecay"], "deltanet": ["a", "b"]}


def read_inputs(problem, path):
    names = ["q", "k", "v"] + extra_inputs.get(problem.get("terms"), [])
    names += ["dOut"] if problem["direction"] == "both" else []
    numbers = torch.from_file(path, size=os.path.getsize(path) // 4, dtype=torch.float32).clone()
    return dict(zip(names, numbers.chunk(len(names))))


def prepare(problem, inputs):
    if problem["kind"] == "attention":
        return load("torch-attention").attention_run(problem, read_inputs(problem, inputs))
    if problem["kind"] == "recurrence":
        return load("torch-recurrence").recurrence_run(problem, read_inputs(problem, inputs), sys.argv[2])
    if problem["kind"] == "training":
        sizes = {name: size for name, size in problem.items() if name != "kind"}
        return load("torch-training").training_step(**sizes)
    raise ValueError(f"it does not know problems of the kind '{problem['kind']}'")


def write_outputs(results, path):
    if not isinstance(results, dict):
        return []
    with open(path, "wb") as file:
        for tensor in results.values():
            file.write(tensor.contiguous().numpy().tobytes())
    return list(results)


def main():
    threads = int(sys.argv[1])
    torch.set_num_threads(threads)
    answers = os.fdopen(3, "w")
    slots = {}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            result = None
            if request["do"] == "describe":
                result = {"versions": {"torch": torch.__version__}, "threads": torch.get_num_threads(), "notes": []}
            elif request["do"] == "prepare":
                run = slots[request["slot"]] = prepare(request["problem"], request["inputs"])
                result = {"outputs": write_outputs(run(), request["outputs"]), "facts": {}}
            elif request["do"] == "run":
                run = slots[request["slot"]]
                start = time.perf_counter()
                run()
                result = {"timeMs": (time.perf_counter() - start) * 1e3}
            elif request["do"] == "release":
                del slots[request["slot"]]
            answer = {"result": result}
        except Exception as error:
            answer = {"error": str(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
