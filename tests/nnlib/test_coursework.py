"""The snippets of the coursework, question 2, as written, with what they must print."""

import numpy as np

from nnlib import Graph


def test_two_layer_network(capsys):
    g = Graph()
    x = g.tensor([[1, -2]], "x")
    w1 = g.tensor([[1, 2, 3], [2, 1, 1]], "w1")
    b1 = g.tensor([1, 1, 1], "b1")
    w2 = g.tensor([[1, 2], [3, 4], [5, 6]], "w2")
    b2 = g.tensor([10, 20], "b2")

    output = g.add(g.matmul(g.relu(g.add(g.matmul(x, w1), b1)), w2), b2)
    g.run_eval(output)
    print(g.value[output])

    assert capsys.readouterr().out == "[[23. 36.]]\n"
    # xW1 + b1 = (-2, 1, 2), of which ReLU lets the last two through.
    g.run_grad(output, np.array([[1, 0]]))
    np.testing.assert_array_equal(g.grad[w2], [[0, 0], [1, 0], [2, 0]])
    np.testing.assert_array_equal(g.grad[b1], [0, 3, 5])
    np.testing.assert_array_equal(g.grad[w1], [[0, 3, 5], [0, -6, -10]])
    np.testing.assert_array_equal(g.grad[x], [[21, 8]])
    np.testing.assert_array_equal(g.grad[b2], [1, 0])


def test_finite_differences(capsys):
    eps = 1e-3

    g1 = Graph()
    w1 = g1.tensor(np.array([1, 2, 3]))
    a1 = g1.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y1 = g1.matmul(w1, a1)
    g1.run_eval(y1)

    g2 = Graph()
    w2 = g2.tensor(np.array([1 + eps, 2, 3]))
    a2 = g2.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y2 = g2.matmul(w2, a2)
    g2.run_eval(y2)

    g3 = Graph()
    w3 = g3.tensor(np.array([1, 2 + eps, 3]))
    a3 = g3.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y3 = g3.matmul(w3, a3)
    g3.run_eval(y3)

    g4 = Graph()
    w4 = g4.tensor(np.array([1, 2, 3 + eps]))
    a4 = g4.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y4 = g4.matmul(w4, a4)
    g4.run_eval(y4)

    g1.run_grad(y1, np.array([1, 0]))

    g5 = Graph()
    w5 = g5.tensor(np.array([1, 2, 3]))
    a5 = g5.tensor(np.array([[1, 2], [3, 4], [5, 6]]))
    y5 = g5.matmul(w5, a5)

    g5.run_grad(y5, np.array([0, 1]))

    print((g2.value[y2] - g1.value[y1]) / eps)
    print((g3.value[y3] - g1.value[y1]) / eps)
    print((g4.value[y4] - g1.value[y1]) / eps)
    print(g1.grad[w1])
    print(g5.grad[w5])

    assert capsys.readouterr().out == "[1. 2.]\n[3. 4.]\n[5. 6.]\n[1. 3. 5.]\n[2. 4. 6.]\n"
    np.testing.assert_array_equal(g1.value[y1], [22, 28])
    np.testing.assert_array_equal(g1.grad[a1], [[1, 0], [2, 0], [3, 0]])
    np.testing.assert_array_equal(g5.grad[a5], [[0, 1], [0, 2], [0, 3]])


class WordForWord(Graph):
    """The coursework's two lines, each for the first child of a vertex n."""

    def grad_add(self, n):
        self.grad[self.children[n][0]] = self.grad[n]

    def grad_matmul(self, n):
        self.grad[self.children[n][0]] = self.grad[n] @ self.value[self.children[n][1]].T


def test_gradients_of_the_first_child():
    g = WordForWord()
    x, w1 = g.tensor([[1, -2]], "x"), g.tensor([[1, 2, 3], [2, 1, 1]], "w1")
    product = g.matmul(x, w1)
    n = g.add(product, g.tensor([1, 1, 1], "b1"))
    g.run_grad(n, [[5, 7, 11]])
    expected = [g.grad[product], g.grad[x]]
    g.grad[product] = g.grad[x] = None
    g.grad_add(n)
    g.grad_matmul(g.children[n][0])
    np.testing.assert_array_equal(g.grad[product], expected[0])
    np.testing.assert_array_equal(g.grad[x], expected[1])
    # What the children are, the operations take.
    assert g.children[g.neg(g.children[n][0])] == [product]
