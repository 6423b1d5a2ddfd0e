"""The quantities of a study, each declared once: columns of its tables, and what follows from them.

The CSV's headers come from here, and the names, symbols and units that documents, summary,
comparison, figures and page show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# The types of pandas. A value that does not apply is an empty cell.
TEXT, WHOLE, NUMBER, TRUTH = "string", "Int64", "float64", "boolean"
KINDS = {TEXT: "text", WHOLE: "a whole number", NUMBER: "a number", TRUTH: "True or False"}


@dataclass(frozen=True)
class Column:
    """A column of a table, or a quantity that is computed from columns.

    Attributes
    ----------
    name, kind : str
        Its heading in the CSV, and its type: TEXT, WHOLE, NUMBER or TRUTH.
    meaning : str
        One line; it may have `code` and [links](theory.md) relative to docs/.
    symbol : str
        How formulas write it, if they do.
    unit : str
        In units of the user's X and y; empty for a number without a unit.
    label : str
        What readers know it as, in words; by default the name with blanks for underscores.
    """

    name: str
    kind: str
    meaning: str
    symbol: str = ""
    unit: str = ""
    label: str = ""

    @property
    def words(self) -> str:
        """Its name in words."""
        return self.label or self.name.replace("_", " ")

    @property
    def heading(self) -> str:
        """Its name where there is little room: the symbol if it is one letter, else the words."""
        return self.symbol if len(self.symbol) == 1 else self.words

    @property
    def title(self) -> str:
        """Its name where there is room for words and symbol."""
        return f"{self.words} {self.symbol}".rstrip()

    def tell(self, value: str, write: Callable[[str], str] = str) -> str:
        """Return the quantity with a value, as "d = 20" or "noise 1"; `write` writes the symbol."""
        if self.heading == self.symbol:
            return f"{write(self.symbol)} = {value}"
        return f"{self.words} {value}"


_RUN_ID = Column("run_id", TEXT, "identifies the run: a hash of everything that determines its row")
_PROBLEM_ID = Column(
    "problem_id",
    TEXT,
    "identifies the problem: a hash of everything that determines X, y and w₀. Of a file the"
    " content counts, not its name",
)
_PROBLEM = Column("problem", TEXT, "family of the problem")
_N_SAMPLES = Column("n_samples", WHOLE, "rows of X", "n", label="number of samples")
_N_FEATURES = Column(
    "n_features", WHOLE, "columns of X, with the constant one", "d", label="number of features"
)
_SEED = Column("seed", WHOLE, "seed of the random numbers")
_REPETITION = Column("repetition", WHOLE, "number of the draw, from 0")
_RELATIVE_STEP = Column(
    "relative_step",
    NUMBER,
    "step size in units of 1/λmax; of networks, of 1/sharpness at the start",
    "ηλmax",
)

RUNS = (
    _RUN_ID,
    _PROBLEM_ID,
    Column(
        "status",
        TEXT,
        "`converged`: the gap reached its rounding floor, or, of methods that draw samples, the"
        " expected gap is within tolerance · initial gap of its noise floor, or, of networks, the"
        " loss is at most tolerance · initial loss; `max_iterations`: the run ended before that;"
        " `diverged`: the gap grew, or the loss of a network, and the run is kept up to the last"
        " finite iteration; `failed`: see `error`",
    ),
    _PROBLEM,
    Column(
        "problem_options",
        TEXT,
        "the other keys of the family, as they are typed: `correlation=0.9`",
        label="options",
    ),
    Column(
        "content",
        TEXT,
        "identifies the problem's file: eight hex digits of a hash of its content. The same"
        " file under two names is one problem",
    ),
    _N_SAMPLES,
    _N_FEATURES,
    Column("rank", WHOLE, "rank of X, [as far as rounded numbers can tell](theory.md#the-rank)"),
    Column("noise", NUMBER, "standard deviation of the noise in y", unit="y"),
    _SEED,
    _REPETITION,
    Column("start", TEXT, "where w₀ is: `zeros`, `normal` or `eigenvector`"),
    Column("start_which", TEXT, "along the eigenvector of λmax (`max`) or of λ⁺min (`min`)"),
    Column(
        "start_radius",
        NUMBER,
        "normal: standard deviation of the entries of w₀; eigenvector: ‖w₀ − w*‖",
        unit="y/X",
        label="radius",
    ),
    Column("method", TEXT, "name of the method"),
    Column(
        "method_options",
        TEXT,
        "the values of the keys that not all methods have, as they are typed: `momentum=optimal"
        " first_step=full`; a momentum that is a number stands in `momentum` only, and"
        " `restart`, `reorthogonalize` and `exact_budget` are left out if they have their defaults",
    ),
    Column(
        "momentum",
        NUMBER,
        "the β that the run has in every step; empty for a method that has none, or changes it from"
        " step to step",
        "β",
    ),
    Column("step_unit", TEXT, "what `step_value` is a multiple of"),
    Column("step_value", NUMBER, "the step size as it was asked for"),
    Column("step_size", NUMBER, "step size", "η", "1/X²"),
    Column(
        "K", NUMBER, "1/η, as the coursework writes the step size", "K", "X²", "inverse step size"
    ),
    _RELATIVE_STEP,
    Column(
        "lambda_min", NUMBER, "smallest eigenvalue of H = 2XᵀX", "λmin", "X²", "smallest eigenvalue"
    ),
    Column(
        "lambda_min_positive",
        NUMBER,
        "smallest eigenvalue that is not 0",
        "λ⁺min",
        "X²",
        "smallest positive eigenvalue",
    ),
    Column("lambda_max", NUMBER, "largest eigenvalue", "λmax", "X²", "largest eigenvalue"),
    Column("condition_number", NUMBER, "λmax/λ⁺min", "κ"),
    Column(
        "nu",
        NUMBER,
        "contraction factor of the error: for gradient descent max |1 − ηλ| over the eigenvalues"
        " λ > 0",
        "ν",
        label="contraction factor",
    ),
    Column(
        "stable", TRUTH, "whether ν < 1, that is, whether the method converges from every start"
    ),
    Column(
        "step_limit",
        NUMBER,
        "by theory, with this run's momentum the method converges for every step size below this"
        " one, and for no other: 2/λmax for gradient descent; for sgd, below which the expected gap"
        " stays bounded; empty for a method that takes no step size",
        unit="1/X²",
        label="largest stable step size",
    ),
    Column(
        "nu_coursework",
        NUMBER,
        "contraction factor of the coursework",
        "1 − λmin/K",
        label="the coursework's ν",
    ),
    Column(
        "rate_predicted",
        NUMBER,
        "factor by which an iteration multiplies the gap in the long run; of methods that draw"
        " samples, the expected gap minus its noise floor",
        "ν²",
    ),
    Column(
        "rate_measured",
        NUMBER,
        "limit of gap_{t+1}/gap_t,"
        " [extrapolated from the gaps above the floor](theory.md#how-a-rate-is-measured)",
    ),
    Column(
        "rate_standard_error",
        NUMBER,
        "standard error of `rate_measured`: from the scatter of the gaps, from the"
        " extrapolation, and"
        " [from what no measurement can detect](theory.md#how-a-rate-is-measured)",
    ),
    Column(
        "convergence",
        TEXT,
        "kind of convergence: sublinear, linear, superlinear, quadratic, diverging, stalled,"
        " undecided",
    ),
    Column("order", NUMBER, "exponent q in gap_{t+1} ~ gap_t^q", "q"),
    Column("iterations", WHOLE, "last iteration of the run"),
    Column("curve_rows", WHOLE, "number of the run's rows in curves.csv"),
    Column("coefficient_rows", WHOLE, "number of the run's rows in coefficients.csv"),
    Column("moment_rows", WHOLE, "number of the problem's rows in moments.csv that the run needs"),
    Column("iterations_to_tolerance", WHOLE, "first iteration with gap ≤ tolerance · initial gap"),
    Column(
        "iterations_predicted",
        WHOLE,
        "the number of iterations after which theory promises gap ≤ tolerance · initial gap, for"
        " every start: the least t with ν²ᵗ ≤ tolerance for gradient descent, and with max pₜ(λ)² ≤"
        " tolerance for other methods, where t iterations multiply the error along an eigenvector"
        " by pₜ(λ)",
    ),
    Column(
        "iterations_average",
        WHOLE,
        "number of iterations to be expected before the data are drawn: the first one with"
        " gap_average ≤ tolerance · its initial value, between the recorded iterations around it;"
        " empty where gap_average is",
        label="iterations on average",
    ),
    Column(
        "growth_predicted",
        NUMBER,
        "by theory, no recorded gap is more than this many times the initial gap, from any start:"
        " max pₜ(λ)², also over t; 1 if no gap can grow; with heavy ball a gap may grow at first,"
        " although the run converges",
    ),
    Column(
        "loss_star",
        NUMBER,
        "loss at w*, the minimiser nearest to w₀, rounded to floats",
        "L(w*)",
        "y²",
    ),
    Column("initial_gap", NUMBER, "gap at w₀", "L(w₀) − L(w*)", "y²"),
    Column("final_gap", NUMBER, "gap at the last iteration", "L(w) − L(w*)", "y²"),
    Column("initial_distance", NUMBER, "length of the error at w₀", "‖w₀ − w*‖", "y/X"),
    Column("final_distance", NUMBER, "length of the error at the end", "‖w − w*‖", "y/X"),
    Column(
        "gap_floor",
        NUMBER,
        "rounding floor at the last iteration: a smaller gap is rounding noise, and no verdict"
        " is given on it ([derivation](theory.md#the-rounding-floor))",
        unit="y²",
        label="rounding floor",
    ),
    Column(
        "bound_holds",
        TRUTH,
        "whether gap ≤ (λmax/2) ν²ᵗ‖w₀ − w*‖² at every recorded iteration; for other methods than"
        " gradient descent, max pₜ(λ)² stands in place of ν²ᵗ",
    ),
    Column(
        "bound_coursework_holds",
        TRUTH,
        "the same for the coursework's bound, which has 1 − λmin/K instead of ν; of gradient"
        " descent only",
        label="(19) holds",
    ),
    Column(
        "first_violation_coursework",
        WHOLE,
        "first recorded iteration that breaks the coursework's bound",
        label="(19) fails at",
    ),
    Column("bound_over_gap_median", NUMBER, "how loose the bound is: the median of bound/gap"),
    Column(
        "delayed_at",
        WHOLE,
        "first recorded iteration at which the gap is twice the exact one, because rounding has"
        " changed the steps that the method chooses",
        label="delayed at",
    ),
    Column(
        "step_limit_fourth_moment",
        NUMBER,
        "of sgd, with momentum of up to 3 features only: from this step size on the fourth moments"
        " of the error do not stay bounded, so that standard errors over paths mean nothing",
        unit="1/X²",
        label="step size with bounded fourth moments",
    ),
    Column(
        "fourth_moment_exact",
        TRUTH,
        "whether that is exact, as it is up to 8 features; else it is 1/(n max ‖xᵢ‖²), up to which"
        " no step makes an error longer, so that the exact one is no smaller",
        label="exactly known",
    ),
    Column(
        "gap_stationary",
        NUMBER,
        "the expected gap at rest of methods that draw samples, their noise floor",
        unit="y²",
        label="noise floor",
    ),
    Column(
        "averaging_constant",
        NUMBER,
        "t times the expected gap of the average of t iterates tends to this, where V is the"
        " covariance of the gradient at rest; empty without noise and from `step_limit` on",
        "½tr(H⁻¹V)",
        "y²",
    ),
    Column(
        "batch_critical",
        NUMBER,
        "about the batch size from which on λmax limits the step size, and no longer the noise",
        "tr H/λmax",
        label="critical batch size",
    ),
    Column(
        "expectation_agrees",
        TRUTH,
        "whether the last recorded gap, a mean over paths, differs from gap_expected by no more"
        " than a t test at 99 % allows; empty with fewer than 30 paths, beyond 0.7 times"
        " step_limit_fourth_moment, and where gap_p50 is below a fifth of gap_expected, because"
        " rare paths make up the mean there",
        label="expectation agrees",
    ),
    Column(
        "initial_loss", NUMBER, "of networks: loss at the start", "L(w₀)", "y²", "loss at the start"
    ),
    Column("final_loss", NUMBER, "of networks: loss at the last iteration", "L(w)", "y²"),
    Column(
        "threshold",
        NUMBER,
        "of networks: the sharpness up to which the method is stable with its step size: 2/η for"
        " gradient descent, (2 + 2β)/η for heavy ball, (2 + 2β)/((1 + 2β)η) for Nesterov",
        unit="1/η",
        label="threshold of the sharpness",
    ),
    Column(
        "first_crossing",
        WHOLE,
        "first iteration at which the sharpness of a network is at its threshold or above it; it is"
        " looked at every 50 iterations, at first more often, and then found by bisection",
        label="crossed at",
    ),
    Column(
        "first_rise",
        WHOLE,
        "first iteration at which the loss of a network is larger than one before; of nesterov,"
        " the loss where the gradient is taken; empty for sgd",
        label="loss rose at",
    ),
    Column(
        "sharpness_tail_mean",
        NUMBER,
        "mean of `sharpness_over_threshold` over the last third of the iterations, as far as it"
        " comes after the first crossing",
        label="sharpness/threshold late",
    ),
    Column(
        "sharpness_tail_spread",
        NUMBER,
        "the largest minus the smallest of these",
        label="its spread",
    ),
    Column(
        "dead_units",
        WHOLE,
        "of networks with ReLU: hidden units that are 0 for all samples at the end, so that they"
        " have no gradient",
        label="dead units",
    ),
    Column(
        "verdict",
        TEXT,
        "what stopped the sharpening of a network; `at_edge`: the sharpness reached its threshold,"
        " and `sharpness_tail_mean` is 0.95 or more; `loss_small`: it is not, and at most 1 % of"
        " the loss is left; `below`: neither; `diverged`: the loss grew"
        " without end; `dead`: all units are dead, and nothing will change",
    ),
    Column("error", TEXT, "why the run failed"),
)
CURVES = (
    _RUN_ID,
    _PROBLEM,
    _N_FEATURES,
    _REPETITION,
    _RELATIVE_STEP,
    Column("iteration", WHOLE, "number of the iteration, from 0", "t"),
    Column("loss", NUMBER, "loss", "L(w_t)", "y²"),
    Column(
        "gap",
        NUMBER,
        "gap; of methods that draw samples, the mean over the paths",
        "L(w_t) − L(w*)",
        "y²",
        "gap",
    ),
    Column(
        "distance_squared",
        NUMBER,
        "squared length of the error",
        "‖w_t − w*‖²",
        "y²/X²",
        "squared distance",
    ),
    Column("coefficient_step", NUMBER, "step size of the step from this iteration", "ηₜ", "1/X²"),
    Column("coefficient_momentum", NUMBER, "its momentum", "βₜ"),
    Column(
        "restarts",
        WHOLE,
        "how often the momentum has begun again up to this iteration; empty for a method that never"
        " restarts",
    ),
    Column("gap_exact", NUMBER, "the gap by theory", "Σ ½λᵢcᵢ²(1 − ηλᵢ)²ᵗ", "y²", "exact gap"),
    Column(
        "gap_average",
        NUMBER,
        "the gap to be expected before the data are drawn: [its limit as n and d grow]"
        "(average_case.md); of `problem=gaussian` with mean 0 only, not from a start along an"
        " eigenvector, of no method that chooses its steps but conjugate gradients, and to the"
        " iteration 10,000 at most",
        unit="y²",
        label="average gap",
    ),
    Column("gap_bound", NUMBER, "the bound", "(λmax/2) ν²ᵗ‖w₀ − w*‖²", "y²", "bound"),
    Column(
        "gap_bound_coursework",
        NUMBER,
        "the coursework's bound",
        "(λmax/2) (1 − λmin/K)²ᵗ‖w₀ − w*‖²",
        "y²",
        "coursework's bound",
    ),
    Column(
        "gap_bound_relative",
        NUMBER,
        "the bound that knows the initial gap",
        "ν²ᵗ gap₀",
        "y²",
        "relative bound",
    ),
    Column(
        "gap_bound_sharp",
        NUMBER,
        "the bound that uses λ⁺min, λmax and ‖w₀ − w*‖; no bound that uses only these is"
        " smaller ([proof](theory.md#sharper-bounds)). For conjugate gradients the least bound that"
        " is known, which uses all eigenvalues and [holds without rounding]"
        "(methods.md#conjugate-gradients)",
        unit="y²",
        label="sharp bound",
    ),
    Column(
        "distance_bound",
        NUMBER,
        "bound on the squared length of the error",
        "ν²ᵗ‖w₀ − w*‖²",
        "y²/X²",
        "bound on the distance",
    ),
    Column(
        "gap_floor", NUMBER, "rounding floor of this iteration", unit="y²", label="rounding floor"
    ),
    Column(
        "gap_standard_error",
        NUMBER,
        "standard error of `gap` over the paths, of methods that draw samples",
        unit="y²",
        label="standard error of the gap",
    ),
    Column("gap_p10", NUMBER, "the gap that 10 % of the paths are below", unit="y²"),
    Column("gap_p50", NUMBER, "the median gap of the paths", unit="y²", label="median gap"),
    Column("gap_p90", NUMBER, "the gap that 90 % of the paths are below", unit="y²"),
    Column(
        "gap_expected",
        NUMBER,
        "the expected gap, exactly; empty beyond `method.exact_budget`",
        "E L(w_t) − L(w*)",
        "y²",
        "expected gap",
    ),
    Column(
        "gap_of_mean",
        NUMBER,
        "the gap at the expected iterate",
        "L(E w_t) − L(w*)",
        "y²",
        "gap of the mean",
    ),
    Column(
        "gap_high_dimension",
        NUMBER,
        "what the expected gap is close to if there are many features; of sgd without momentum",
        unit="y²",
        label="prediction for many features",
    ),
    Column("gradient_norm", NUMBER, "of networks: length of the gradient", "‖∇L(w_t)‖"),
    Column(
        "sharpness",
        NUMBER,
        "of networks: largest eigenvalue of the loss's Hessian",
        "λmax(∇²L(w_t))",
        "1/η",
    ),
    Column(
        "sharpness_over_threshold",
        NUMBER,
        "sharpness/threshold: above 1 the method is unstable here",
        label="sharpness/threshold",
    ),
    Column("weight_1", NUMBER, "w₁ of the network of two numbers, relu(x w₁) w₂", "w₁"),
    Column("weight_2", NUMBER, "its w₂", "w₂"),
)
EIGENVALUES = (
    _PROBLEM_ID,
    _N_SAMPLES,
    _N_FEATURES,
    _SEED,
    _REPETITION,
    Column("index", WHOLE, "number of the eigenvalue, from 1 for λmax", "i"),
    Column("eigenvalue", NUMBER, "eigenvalue of H, the largest first", "λᵢ", "X²"),
    Column(
        "error_component_squared",
        NUMBER,
        "squared component of w₀ − w* along the eigenvector vᵢ",
        "cᵢ² = (vᵢᵀ(w₀ − w*))²",
        "y²/X²",
    ),
)
COEFFICIENTS = (
    _PROBLEM_ID,
    Column("run_id", TEXT, "the run whose last w this is; empty for w*"),
    Column(
        "column",
        TEXT,
        "the column of X: the name of a table's column, `NAME=TEXT` for a text, `(intercept)` for"
        " the column of ones; x1, x2, … in other problems",
    ),
    Column(
        "coefficient",
        NUMBER,
        "its entry of w* or w; with `problem.standardize=true` that of the standardised column",
        "wⱼ",
        "y/X",
    ),
)
_AXIS = "the eigenvector, from 1 for λmax, along which the {} factor is the component of the row"
MOMENTS = (
    _PROBLEM_ID,
    Column("first", WHOLE, _AXIS.format("first") + "; 0 for its residual xᵢᵀw* − yᵢ"),
    Column("second", WHOLE, _AXIS.format("second") + ", or 0; not less than `first`"),
    Column("third", WHOLE, _AXIS.format("third") + "; not less than `second`"),
    Column("fourth", WHOLE, _AXIS.format("fourth") + "; not less than `third`"),
    Column(
        "moment",
        NUMBER,
        "the sum over the rows of X of these four factors. The eigenvectors point so that no"
        " component of w₀ − w* is negative",
    ),
)
TABLE_COLUMNS = {
    "runs": RUNS,
    "curves": CURVES,
    "eigenvalues": EIGENVALUES,
    "coefficients": COEFFICIENTS,
    "moments": MOMENTS,
}
# What the summary, the comparison and the page show beside columns.
DERIVED = (
    Column("study", TEXT, "name of the study, where two are compared"),
    Column("file", TEXT, "name of the problem's file"),
    Column("runs", WHOLE, "number of runs"),
    Column("converged", WHOLE, "number of runs that converged to the rounding floor", label="conv"),
    Column("diverged", WHOLE, "number of runs that diverged", label="div"),
    Column("failed", WHOLE, "number of runs that failed with an error", label="fail"),
    Column(
        "best_step",
        NUMBER,
        "the relative step that needs the fewest iterations to the tolerance, in the median over"
        " repetitions; the two numbers of iterations beside it are of this step",
    ),
    Column(
        "bound_coursework_fails",
        TEXT,
        "number of runs that break the coursework's bound, of those with a verdict",
        label="(19) fails",
    ),
)
# Where two tables have a column of one name, it is that of runs.
QUANTITIES = {
    each.name: each
    for columns in (DERIVED, MOMENTS, COEFFICIENTS, EIGENVALUES, CURVES, RUNS)
    for each in columns
}
COLUMNS = {
    name: {each.name: each.kind for each in columns} for name, columns in TABLE_COLUMNS.items()
}
# The files of a study, from which its report is made.
TABLES = {name: f"{name}.csv" for name in COLUMNS}
FILES = (*TABLES.values(), "config.yaml", "provenance.json")
RUN_ORDER = (
    *("problem", "content", "n_samples", "n_features", "seed", "repetition"),
    *("start", "start_which", "start_radius", "method", "method_options", "momentum"),
    *("problem_id", "step_unit", "step_value", "run_id"),
)
# The rows of one w stay in the order of the columns of X.
COEFFICIENT_ORDER = ("problem_id", "run_id")
MOMENT_ORDER = ("problem_id", "first", "second", "third", "fourth")
EIGENVALUE_ORDER = ("n_samples", "n_features", "seed", "repetition", "problem_id", "index")
