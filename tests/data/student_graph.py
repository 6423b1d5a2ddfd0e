"""Question 2 of the coursework as a student answers it: right, and no more than is asked."""

import numpy as np


class Graph:
    def __init__(self):
        self.count = 0
        self.parent, self.children, self.value, self.grad, self.name = {}, {}, {}, {}, {}

    def _new_vertex(self, name, children):
        i = self.count
        self.count += 1
        self.name[i] = name
        self.children[i] = children
        for child in children:
            self.parent[child] = i
        return i

    def tensor(self, value):
        i = self._new_vertex("tensor", [])
        self.value[i] = value
        return i

    def add(self, a, b):
        return self._new_vertex("add", [a, b])

    def matmul(self, a, b):
        return self._new_vertex("matmul", [a, b])

    def relu(self, a):
        return self._new_vertex("relu", [a])

    def eval_tensor(self, n):
        pass

    def eval_add(self, n):
        a, b = self.children[n]
        self.value[n] = self.value[a] + self.value[b]

    def eval_matmul(self, n):
        a, b = self.children[n]
        self.value[n] = self.value[a] @ self.value[b]

    def eval_relu(self, n):
        x = self.value[self.children[n][0]]
        self.value[n] = np.maximum(0, x)

    def grad_tensor(self, n):
        pass

    def grad_add(self, n):
        a, b = self.children[n]
        self.grad[a] = self.grad[n]
        self.grad[b] = self.grad[n]

    def grad_matmul(self, n):
        a, b = self.children[n]
        w, A, grad = self.value[a], self.value[b], self.grad[n]
        self.grad[a] = grad @ A.T
        if w.ndim == 1:
            self.grad[b] = np.outer(w, grad)
        else:
            self.grad[b] = w.T @ grad

    def grad_relu(self, n):
        x = self.value[self.children[n][0]]
        self.grad[self.children[n][0]] = self.grad[n] * (x > 0)

    def run_eval(self, output):
        for n in range(output + 1):
            getattr(self, "eval_" + self.name[n])(n)

    def run_grad(self, output, grad):
        self.grad[output] = grad
        for n in range(output, -1, -1):
            getattr(self, "grad_" + self.name[n])(n)
