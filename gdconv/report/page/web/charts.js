// The explorer's charts: what each draws, tells of a place under the pointer, and does if that is clicked.
const MOST_PARTS = 24, MOST_STEMS = 300;

function drawGap(problem, theory, times, curve, now, run) {
  const [{ exact, bound }] = curve, gap = exact || theory.floor || 1;
  const y = { from: gap / (theory.range ?? RANGE), to: 1e3 * bound || 10 * gap, log: true };
  const chart = new Chart(byId("gap-chart"), { from: 0, to: times.at(-1), label: titles.iteration }, y);
  if (theory.logNu <= 0 && run !== undefined)
    add(chart.inside, "rect", { y: chart.y(problem.gap_floor[run]), width: "100%", height: 9999, class: "floor" });
  const line = (value, style) => chart.line(times, curve.map(value), style);
  for (const i of spread(now.part.length, MOST_PARTS).slice(1, -1)) line(({ part }) => part[i], "part");
  for (const [style, i] of [["smallest", -1], ["largest", 0]]) line(({ part }) => part.at(i), style);
  for (const each of ["sharp", "bound", "stated", "exact"]) if (now[each] !== null) line((at) => at[each], each);
  if (theory.floor > 0) line(() => theory.floor, "bound");
  chart.line([now.t, now.t], [y.from, y.to], "now");
  problem.points[run]?.[0].forEach((s, k) => chart.dot(s, problem.points[run][1][k], 4, "dot"));
  chart.dot(now.t, now.exact, 4.5, "here");
  const nameOf = (style) => document.querySelector(`.tall .legend .${style}`).parentNode.innerText.trim();
  const known = ["exact", "bound", "sharp", "stated"].filter((style) => now[style] !== null);
  const names = known.map(nameOf), [at, gaps] = problem.points[run] ?? [[], []];
  chart.reads(times, now.t, (k) => {
    const values = known.map((style, i) => `${names[i]} ${show(curve[k][style])}`), t = times[k];
    const s = at.length ? nearest(at, t, Number) : null, where = s === t ? "" : ` at t = ${whole(s)}`;
    if (s !== null) values.push(`measured ${show(gaps[at.indexOf(s)])}${where}`);
    return `t = ${whole(t)}: ${values.join(", ")}`;
  }, (k) => draw((state.t = times[k])));
  const of = ({ exact, bound }) => `${show(exact)}${bound === null ? "" : `, its bound ${show(bound)}`}`;
  chart.description.textContent = `At the start the gap is ${of(curve[0])}; after ${whole(now.t)} iterations`
    + ` ${of(now)}; after ${whole(times.at(-1))} ${of(curve.at(-1))}.`;
}

/** A chart over relative steps up to a little more than a limit, and steps to draw at. */
function stepChart(id, { problem, method }, limit, to) {
  const runs = runsOf(problem, method).map((run) => problem.relative_step[run]);
  const last = Math.max(1.25 * limit, 1.02 * Math.min(2 * limit, Math.max(...runs)));
  const chart = new Chart(byId(id), { from: 0, to: last, label: titles.relative_step }, { from: 0, to });
  const steps = [...spread(201, 201).map((k) => (k * last) / 200), optimumOf(method, problem)?.at ?? 1];
  return [chart, last, steps.sort((a, b) => a - b)];
}

function drawRate(state, theory) {
  const { problem, method, step, momentum } = state, { largest, smallest, lambda_min: least } = problem, top = 1.6;
  const goTo = (x) => change({ step: nearStop(state.steps, x) }), limit = limitOf(method, momentum.at);
  const [chart, last, steps] = stepChart("rate-chart", state, limit, top);
  chart.line([0, last], [1, 1], "now");
  if (theory.stated !== null) chart.line(steps, steps.map((x) => (1 - (x * least) / largest) ** 2), "stated");
  const log = (x) => Math.max(...[1, smallest / largest].map((part) => solved(method, x * part, momentum.at).log));
  chart.line(steps, steps.map((x) => Math.exp(2 * log(x))), "exact");
  // A run without a measured rate is drawn below the chart, where it cannot be seen.
  for (const run of runsOf(problem, method))
    if (!method.momentum || Math.abs(problem.momentum[run] - momentum.at) <= NEXT)
      chart.dot(problem.relative_step[run], cellOf(problem, run, "rate_measured") ?? -1, 3.5, "dot");
  chart.line([step.at, step.at], [0, top], "now");
  chart.dot(step.at, theory.nu ** 2, 4.5, "here");
  const stated = (x) => theory.stated === null ? "" : `, coursework’s bound ${show((1 - (x * least) / largest) ** 2)}`;
  chart.reads(steps, step.at, (k) => `ηλmax = ${show(steps[k])}: ν² = ${nearOne(2 * log(steps[k]))}${stated(steps[k])}`,
    (k) => goTo(steps[k]));
  chart.description.textContent = `At ηλmax = ${show(step.at)} the factor is ${nearOne(2 * theory.logNu)}. From`
    + ` ${show(limit)} on it is 1 or more.`;
}

function drawPlane(state) {
  const { problem, method, step, momentum } = state, best = optimumOf(method, problem), runs = runsOf(problem, method);
  const goTo = (x, y) => change({ step: nearStop(state.steps, x), momentum: nearStop(state.momenta, y) });
  const [chart, , all] = stepChart("plane-chart", state, method.heavy ? 4 : 2, 1);
  const steps = all.filter((x) => x <= 4), betas = spread(101, 101).map((k) => k / 100), many = runs.length > 100;
  const lowest = steps.map((x) => bestMomentum(method, x, problem.largest / problem.smallest));
  const limits = betas.map((beta) => limitOf(method, beta));
  chart.line([0, ...limits, 0], [0, ...betas, 1], "stable");
  // With more than its best momentum, heavy ball has complex roots only, whose absolute value is √β.
  if (method.heavy) chart.line([...steps, 4, 0], [...lowest, 1, 1], "robust");
  chart.line(limits, betas, "limit");
  chart.line(steps, lowest, "bound");
  for (const run of runs) chart.dot(problem.relative_step[run], problem.momentum[run], many ? 0.8 : 3.5, "dot");
  chart.dot(best.at, best.momentum, 7, "best");
  const ends = [1, problem.smallest / problem.largest];
  const log = (x, beta) => Math.max(...ends.map((part) => solved(method, x * part, beta).log));
  chart.reads(all, step.at, (k, y = momentum.at, beta = Math.min(1, Math.max(0, y))) =>
    `ηλmax = ${show(all[k])}, β = ${show(beta, 3)}: ν² = ${nearOne(2 * log(all[k], beta))}`,
    (k, y = momentum.at) => goTo(all[k], y));
  chart.dot(step.at, momentum.at, 4.5, "here");
  chart.description.textContent = `Chosen: ηλmax = ${show(step.at)} and β = ${show(momentum.at)}; with this β the limit`
    + ` of stability is ${show(limitOf(method, momentum.at))}. Optimum: ${show(best.at)} and ${show(best.momentum)}.`;
}

/** The charts over the eigenvalues: their parts of the gap, and p_t. */
function drawEigenvalues({ eigenvalue, largest, smallest }, theory, start, { t, part, exact, squares, most }) {
  const log = smallest < 0.05 * largest, label = "λ/λmax", gap = start.exact || 1;
  const x = { from: log ? smallest / largest / 1.5 : 0, to: log ? 1.5 : 1.05, log, label };
  const parts = new Chart(byId("part-chart"), x, { from: gap / (theory.range ?? RANGE), to: 1e3 * gap, log: true });
  const modes = theory.mode && new Chart(byId("mode-chart"), x, { from: 10 / Math.sqrt(RANGE), to: 10, log: true });
  modes?.line([smallest / largest, 1], Array(2).fill(Math.sqrt(most)), "bound");
  const [lambdas, curve] = theory.mode?.(t) ?? [], count = part.length;
  modes?.line(lambdas.map((lambda) => lambda / largest), curve.map(Math.sqrt), "thin exact");
  const stems = spread(count, MOST_STEMS), after = `after ${whole(t)} iteration${t === 1 ? "" : "s"}`;
  for (const i of stems) {
    const at = eigenvalue[i] / largest, style = i === 0 ? "largest" : i === count - 1 ? "smallest" : "";
    parts.line([at, at], [start.part[i], part[i]], `part ${style}`);
    parts.dot(at, start.part[i], 3, "ring");
    parts.dot(at, part[i], style ? 4.5 : 3, `full ${style}`);
    modes?.dot(at, Math.sqrt(squares[i]), style ? 4.5 : 3, `full ${style}`);
  }
  const top = part.indexOf(Math.max(...part)), share = (100 * part[top]) / exact;
  parts.reads(stems.map((i) => eigenvalue[i] / largest), 1, (k) => `Eigenvalue ${stems[k] + 1}, λ/λmax =`
    + ` ${show(eigenvalue[stems[k]] / largest)}: its part is ${show(start.part[stems[k]])} at the start,`
    + ` ${show(part[stems[k]])} ${after}`);
  modes?.reads(lambdas.map((lambda) => lambda / largest), 1, (k) =>
    `λ/λmax = ${show(lambdas[k] / largest)}: |pₜ(λ)| = ${show(Math.sqrt(curve[k]))} ${after}`);
  const dominant = share >= 0 ? `eigenvalue ${top + 1} makes up ${show(share, 3)} % of the gap` : "";
  byId("dominant").textContent = dominant;
  parts.description.textContent = dominant ? `There are ${count} parts; ${after} ${dominant}.` : "";
  if (modes) modes.description.textContent = `A${after.slice(1)} the largest |pₜ(λ)| is ${show(Math.sqrt(most))}.`;
}
