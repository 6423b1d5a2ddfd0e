"""A solution of the coursework's question 2 as students write it: right, and no more than asked."""

import numpy as np


class Graph:
    def __init__(self):
        self.count = 0
        self.parent = {}
        self.children = {}
        self.value = {}
        self.grad = {}
        self.name = {}

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
        self.value[n] = self.value[self.children[n][0]] + self.value[self.children[n][1]]

    def eval_matmul(self, n):
        self.value[n] = self.value[self.children[n][0]] @ self.value[self.children[n][1]]

    def eval_relu(self, n):
        self.value[n] = np.maximum(0, self.value[self.children[n][0]])

    def grad_tensor(self, n):
        pass

    def grad_add(self, n):
        self.grad[self.children[n][0]] = self.grad[n]
        self.grad[self.children[n][1]] = self.grad[n]

    def grad_matmul(self, n):
        w = self.value[self.children[n][0]]
        self.grad[self.children[n][0]] = self.grad[n] @ self.value[self.children[n][1]].T
        if w.ndim == 1:
            self.grad[self.children[n][1]] = np.outer(w, self.grad[n])
        else:
            self.grad[self.children[n][1]] = w.T @ self.grad[n]

    def grad_relu(self, n):
        child = self.children[n][0]
        self.grad[child] = self.grad[n] * (self.value[child] > 0)

    def run_eval(self, output):
        for n in range(output + 1):
            getattr(self, "eval_" + self.name[n])(n)

    def run_grad(self, output, grad):
        self.grad[output] = grad
        for n in range(output, -1, -1):
            getattr(self, "grad_" + self.name[n])(n)
