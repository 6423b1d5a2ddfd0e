# %% [markdown]
# # From the first run to the figure of a paper
#
# Which step size is best, with momentum and without, and does theory know it? This notebook stores
# its study in results/momentum_or_not, and the figure as rates.pdf. Editors such as VS Code and
# Spyder show its cells, and `jupytext --to ipynb notebook.py` makes a file for Jupyter.

# %% [markdown]
# ## The first run
#
# Gradient descent on a random problem with 50 features. `Step(value=1.0)` is the step size 1/λmax.

# %%
import numpy as np
from matplotlib.figure import Figure

from gdconv import Gaussian, GradientDescent, HeavyBall, RunConfig, Step, run_study

problem = Gaussian(n_samples=100, n_features=50)
first = run_study(RunConfig(problem, step=Step(value=1.0)))
first

# %% [markdown]
# `rate_measured` is the factor by which an iteration multiplies the gap. Theory has predicted it.
# The figure shows how the gap falls, below the bound that holds for every start.

# %%
first.plot("convergence")

# %% [markdown]
# ## Two methods, and step sizes of our own
#
# Heavy ball with β = ½ is stable up to the step size 3/λmax, gradient descent up to 2/λmax. Each
# gets steps beyond its limit, too. The study is stored, so running this cell again repeats nothing.

# %%
STEPS = {"gradient_descent": np.linspace(0.1, 2.1, 21), "heavy_ball": np.linspace(0.1, 3.1, 31)}
configs = [
    RunConfig(problem, method=method, step=Step(value=STEPS[method.name]))
    for method in (GradientDescent(), HeavyBall(momentum=0.5))
]
study = run_study(configs, folder="results/momentum_or_not")
study

# %% [markdown]
# ## Theory beside measurement
#
# A measured rate has a standard error. How many of them is it away from the prediction?

# %%
runs = study.runs
runs["errors"] = (runs.rate_measured - runs.rate_predicted).abs() / runs.rate_standard_error
by_method = runs[runs.status == "converged"].groupby("method")
by_method[["rate_measured", "rate_predicted", "errors"]].agg(["min", "median", "max"])

# %% [markdown]
# How does the gap fall with the best step of each method? `curves_with` gives each recorded
# iteration the columns of its run. `grid=True` leaves out the last iteration of a run that ends
# early, which the other run does not have: in a plot, it would break the other line.

# %%
best = runs.loc[by_method.rate_measured.idxmin(), "run_id"]
curves = study.where(runs.run_id.isin(best)).curves_with("method", grid=True)
gaps = curves.pivot(index="iteration", columns="method", values="gap")
gaps.head()

# %% [markdown]
# ## The figure of the paper
#
# A column is 3.3 inches wide. The figure is made in this size, so its text of 8 points is printed
# with 8 points. Lines are predicted, marks are measured, with standard errors.

# %%
figure = Figure(figsize=(3.3, 2.5), layout="constrained")
axes = figure.subplots()
looks = {"gradient_descent": ("o", "#1f4e79", "-"), "heavy_ball": ("s", "#b3450c", "--")}
for method, (marker, colour, line) in looks.items():
    own = runs[runs.method == method].set_index("step_value")
    name = method.replace("_", " ")
    axes.plot(own.rate_predicted, line, color=colour, linewidth=1, label=name)
    look = {"color": colour, "markersize": 3, "fillstyle": "none", "elinewidth": 0.7}
    axes.errorbar(own.index, own.rate_measured, own.rate_standard_error, fmt=marker, **look)
axes.axhline(1, color="0.6", linewidth=0.6)
axes.set_xlabel("step size times λmax", fontsize=8)
axes.set_ylabel("rate of the gap", fontsize=8)
axes.set_ylim(0, 1.6)
axes.tick_params(labelsize=7)
axes.legend(fontsize=7, frameon=False)
figure.savefig("rates.pdf")

# %% [markdown]
# The figures of the report can have a paper's size as well.

# %%
of_descent = study.where(runs.method == "gradient_descent")
of_descent.plot("rate_vs_step", figure_size=3.3, font_size=8)
