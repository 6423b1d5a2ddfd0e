"""Write sgd_pytorch.json: 100 steps of PyTorch's SGD on a two-layer ReLU network, in float64.

Not run by the tests; needs `pip install torch` (2.13.0 made the file).
"""

import json
from pathlib import Path

import numpy as np
import torch

rng = np.random.default_rng(0)
start = {
    "X": rng.normal(size=(40, 2)).round(6),
    "labels": rng.integers(3, size=40),
    "W1": rng.normal(size=(2, 8)).round(6),
    "b1": rng.normal(size=8).round(6),
    "W2": rng.normal(size=(8, 3)).round(6),
    "b2": rng.normal(size=3).round(6),
    "batches": np.array([rng.permutation(40)[:10] for _ in range(100)]),
}
options = {"step_size": 0.1, "momentum": 0.9}

X, labels = torch.tensor(start["X"]), torch.tensor(start["labels"])
parameters = [torch.tensor(start[name], requires_grad=True) for name in ("W1", "b1", "W2", "b2")]
W1, b1, W2, b2 = parameters
optimiser = torch.optim.SGD(parameters, lr=options["step_size"], momentum=options["momentum"])
losses = []
for rows in start["batches"]:
    output = torch.relu(X[rows] @ W1 + b1) @ W2 + b2
    loss = torch.nn.functional.cross_entropy(output, labels[rows])
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    losses.append(loss.item())
content = {"pytorch": torch.__version__.split("+")[0], **options, "losses": losses}
content |= {name: array.tolist() for name, array in start.items()}
lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in content.items())
path = Path(__file__).with_suffix(".json")
path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
