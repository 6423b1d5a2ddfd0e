"""Draw a figure of your own from the CSV files of a study: do iterations come out as predicted?

    .venv/bin/python docs/examples/own_figure.py

Start it in the project's folder, where the stored study results/reference is. `gdconv.read` returns
the three tables as pandas DataFrames. The script writes results/own_figure.png.
"""

from matplotlib.figure import Figure

from gdconv import read

runs = read("results/reference").runs
figure = Figure(figsize=(5, 4), layout="constrained")
axes = figure.subplots()
for start, marker in [("zeros", "o"), ("eigenvector", "x")]:
    group = runs[runs.start == start]
    axes.loglog(group.iterations_predicted, group.iterations_to_tolerance, marker, label=start)
axes.axline((1, 1), (10, 10), color="black", linewidth=1)
axes.set(xlabel="predicted iterations", ylabel="measured iterations")
axes.legend(title="start")
figure.savefig("results/own_figure.png", dpi=150)
