"""Train a network with nnlib: 16 ReLU units learn the sine from 64 points.

    .venv/bin/python docs/examples/network_with_nnlib.py

Each step of SGD uses all points. `store` puts the trained parameters into the graph.
"""

import numpy as np

from nnlib import Graph
from nnlib.nn import Linear, ReLU, Sequential
from nnlib.sgd import SGD

X = np.linspace(-3, 3, 64).reshape(64, 1)
Y = np.sin(X)

g, rng = Graph(), np.random.default_rng(0)
network = Sequential(Linear(g, 1, 16, rng), ReLU(g), Linear(g, 16, 1, rng))
x, y = g.tensor(X, "x"), g.tensor(Y, "y")
loss = g.mean_squared_error(network(x), y)
sgd = SGD(g, loss, network.parameters, [x, y], step_size=0.05, momentum=0.9)
losses = [sgd.step(X, Y) for _ in range(1000)]
sgd.store()
print(f"loss {losses[0]:.3g} at first, {losses[-1]:.3g} after {len(losses)} steps")
