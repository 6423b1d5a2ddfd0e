// The explorer: what theory predicts for the chosen problem, method, step size and momentum, beside the runs.
const MOST_PARTS = 24, MOST_STEMS = 300, RANGE = 1e18, NEXT = 256 * Number.EPSILON;
// Problem, method, t, and stops {at, marks} of two sliders: step, and momentum or, if samples are drawn, batch size.
const state = {};

/** Text for a contraction factor, given by its logarithm; close to 1 it is written as 1 − a small number. */
const nearOne = (log, off = -Math.expm1(log)) =>
  off > 0 && off < 1e-3 ? `1\u00a0−\u00a0${show(off)}` : show(Math.exp(log));
const nearest = (some, value, of) => some.reduce((a, b) => (Math.abs(of(b) - value) < Math.abs(of(a) - value) ? b : a));
const nearStop = (stops, at) => nearest(stops, at, (stop) => stop.at);
const runsOf = ({ row, method }, wanted) => [...row.keys()].filter((run) => methods[method[run]] === wanted);
const cellOf = (problem, run, name) => rows[problem.row[run]][columns.indexOf(name)] ?? null;
const put = (id, value, textContent = show(value)) => Object.assign(byId(id), { value, textContent });

/** The stops of a slider in order, those at the same place joined; a run keeps the last digits of its place. */
function joined(stops) {
  const kept = [];
  for (const stop of stops.sort((a, b) => a.at - b.at)) {
    const last = kept.at(-1) ?? { at: -1 };
    if (stop.at - last.at > NEXT * stop.at) kept.push(stop);
    else Object.assign(last, last.exact ? {} : stop, { marks: [...last.marks, ...stop.marks] });
  }
  return kept;
}

/** The relative steps at which a slider stops: a grid, the landmarks, the exact steps of the runs, and where it is. */
function stepsOf(problem, method, momentum, here) {
  const limit = limitOf(method, momentum, problem), best = optimumOf(method, problem);
  const stop = (at, ...marks) => ({ at, step: at / problem.largest, marks });
  const stops = [stop(method.sampled ? limit / 2 : 1, "safe"), stop(limit, "edge"), ...here];
  if (best) stops.push({ ...best, marks: ["optimum"] });
  for (const run of method.step ? runsOf(problem, method) : [])
    stops.push({ at: problem.relative_step[run], step: problem.step_size[run], marks: [], exact: true });
  for (let k = 1; k <= 250; k++) stops.push(stop((k * limit) / 200));
  const least = Math.min(...stops.map((each) => each.at));
  for (let at = limit / 200; at > least; at /= 1.25) stops.push(stop(at));
  for (let off = limit / 400; off > 1e-11 * limit; off /= 2) stops.push(stop(limit - off), stop(limit + off));
  return joined(stops);
}

function momentaOf(problem, method, x, here) {
  const runs = runsOf(problem, method).map((run) => ({ at: problem.momentum[run], marks: [], exact: true }));
  if (method.sampled) {
    const { n, critical } = problem.moments, sizes = spread(n, 200).map((k) => ({ at: k + 1, marks: [] }));
    sizes.push({ at: 1, marks: ["one"] }, { at: critical, marks: ["critical"] }, { at: n, marks: ["all"] });
    return joined([...sizes, ...here, ...runs]);
  }
  const best = bestMomentum(method, x, problem.largest / problem.smallest);
  const grid = spread(109, 109).map((k) => ({ at: k < 100 ? k / 100 : 0.99 + (k - 99) / 1000, marks: [] }));
  grid.push({ at: 0, marks: ["zero"] }, { at: optimumOf(method, problem).momentum, marks: ["overall"] });
  return joined([...grid, ...here, ...runs, ...(best < 1 ? [{ at: best, marks: ["best"] }] : [])]);
}

/** The run that is nearest to the chosen step and momentum, and whether it has these. */
function nearestRun({ problem, method, step, momentum }, { relative_step: x, momentum: beta } = problem) {
  const apart = (run) => Math.hypot(method.step && x[run] / step.at - 1, method.second && beta[run] - momentum.at);
  const runs = runsOf(problem, method), run = runs.length ? nearest(runs, 0, apart) : undefined;
  return { run, exact: apart(run) <= NEXT };
}

/** Whether a method converges: a word, its style, and a sentence; growth is the maximum of p_t² over t. */
function verdict({ problem, method, step, momentum }, { logs, logNu, stated, floor }, growth) {
  const { largest, lambda_min: least } = problem, best = optimumOf(method, problem), { descent } = method;
  const [each, most] = descent ? ["Each", "at most "] : ["In the long run, an", ""];
  const rate = `${each} iteration multiplies the gap by ${most}ν² = ${nearOne(2 * logNu)}`;
  const more = growth > 1.005 ? ` Before that it may grow, up to ${show(growth, 3)} times its initial value.` : "";
  if (method.step && same(step.at, limitOf(method, momentum.at, problem)))
    return ["On the edge", "edge", method.sampled ? "With longer steps the expected gap grows without bound."
      : "The part of λmax neither shrinks nor grows."];
  if (method.sampled && floor === null)
    return ["Diverges", "diverges", "The expected gap grows without bound. Rare runs make it up; most may converge."];
  if (method.sampled) return ["Converges", "converges", `The expected gap tends to its noise floor, ${show(floor)}.`];
  const grow = logs.filter((log) => log > 0).length;
  if (logNu > 0)
    return ["Diverges", "diverges", `${rate}; ${grow} of ${logs.length} parts ${grow === 1 ? "grows" : "grow"}` +
      `${descent && Math.abs(stated) < 1 ? ", but the coursework’s bound promises convergence" : ""}.`];
  const slowest = logs[0] > logs.at(-1) ? "λmax, whose error changes sign in every iteration" : "λ⁺min";
  const which = Math.abs(logs[0] - logs.at(-1)) < 1e-12 ? "The parts of λmax and λ⁺min shrink equally fast."
    : `The slowest part is that of ${slowest}.`;
  if (best && same(step.at, best.at) && Math.abs(momentum.at - best.momentum) < 1e-12)
    return ["Optimal", "optimal", `${rate}. ${which} Any other choice has a larger ν.${more}`];
  if (method.lower === 1 && method.upper === 1)
    return ["Optimal", "optimal", `${rate}. No method with coefficients fixed in advance has a smaller bound.`];
  const holds = step.step * (least + largest) <= 2 || same(least, largest) ? "true" : "false";
  return ["Converges", "converges", `${rate}. ${which}${descent ? ` The coursework’s bound is ${holds} here.` : more}`];
}

/** The chosen iteration, and those of the chart: to about where the gap leaves it, or where the longest run ends. */
function timesOf({ logNu, limit }, { points }, chosen) {
  const needed = Math.log(logNu < 0 ? RANGE : 1e4) / (2 * Math.abs(logNu));
  const least = Math.max(5, Math.min(logNu ? needed : Math.max(100, ...points.map(([t]) => t.at(-1) ?? 0)), limit));
  const unit = 10 ** Math.floor(Math.log10(least)), last = Math.min(limit, Math.ceil(least / unit) * unit);
  const early = spread(40, 40).map((k) => last ** (k / 40)), t = Math.min(chosen ?? Math.round(last / 4), last);
  return [t, [...new Set([...spread(last + 1, 200), ...early.map(Math.round), t])].sort((a, b) => a - b)];
}

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
  const of = ({ exact, bound }) => `${show(exact)}${bound === null ? "" : `, its bound ${show(bound)}`}`;
  chart.description.textContent = `At the start the gap is ${of(curve[0])}; after ${whole(now.t)} iterations`
    + ` ${of(now)}; after ${whole(times.at(-1))} ${of(curve.at(-1))}.`;
}

/** A chart over relative steps up to a little more than a limit, and steps to draw at; a click goes where it is. */
function stepChart(id, { problem, method }, limit, to, goTo) {
  const svg = byId(id), runs = runsOf(problem, method).map((run) => problem.relative_step[run]);
  const last = Math.max(1.25 * limit, 1.02 * Math.min(2 * limit, Math.max(...runs)));
  const chart = new Chart(svg, { from: 0, to: last, label: titles.relative_step }, { from: 0, to });
  svg.onpointerdown = svg.onpointermove = ({ buttons, clientX, clientY }) => {
    const { left, top } = svg.getBoundingClientRect(), up = chart.y(0) - (clientY - top - chart.top);
    if (buttons) goTo(((clientX - left - chart.left) / chart.x(last)) * last, (up / (chart.y(0) - chart.y(to))) * to);
  };
  const steps = [...spread(201, 201).map((k) => (k * last) / 200), optimumOf(method, problem)?.at ?? 1];
  return [chart, last, steps.sort((a, b) => a - b)];
}

function drawRate(state, theory) {
  const { problem, method, step, momentum } = state, { largest, smallest, lambda_min: least } = problem, top = 1.6;
  const goTo = (x) => change({ step: nearStop(state.steps, x) }), limit = limitOf(method, momentum.at);
  const [chart, last, steps] = stepChart("rate-chart", state, limit, top, goTo);
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
  chart.description.textContent = `At ηλmax = ${show(step.at)} the factor is ${nearOne(2 * theory.logNu)}. From`
    + ` ${show(limit)} on it is 1 or more.`;
}

function drawPlane(state) {
  const { problem, method, step, momentum } = state, best = optimumOf(method, problem), runs = runsOf(problem, method);
  const goTo = (x, y) => change({ step: nearStop(state.steps, x), momentum: nearStop(state.momenta, y) });
  const [chart, , all] = stepChart("plane-chart", state, method.heavy ? 4 : 2, 1, goTo);
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
  for (const i of spread(count, MOST_STEMS)) {
    const at = eigenvalue[i] / largest, style = i === 0 ? "largest" : i === count - 1 ? "smallest" : "";
    parts.line([at, at], [start.part[i], part[i]], `part ${style}`);
    parts.dot(at, start.part[i], 3, "ring");
    parts.dot(at, part[i], style ? 4.5 : 3, `full ${style}`);
    modes?.dot(at, Math.sqrt(squares[i]), style ? 4.5 : 3, `full ${style}`);
  }
  const top = part.indexOf(Math.max(...part)), share = (100 * part[top]) / exact;
  const dominant = share >= 0 ? `eigenvalue ${top + 1} makes up ${show(share, 3)} % of the gap` : "";
  byId("dominant").textContent = dominant;
  const after = `After ${whole(t)} iteration${t === 1 ? "" : "s"}`;
  parts.description.textContent = dominant ? `${after} ${dominant}; there are ${count}.` : "";
  if (modes) modes.description.textContent = `${after} the largest |pₜ(λ)| is ${show(Math.sqrt(most))}.`;
}

/** What was measured in a run, whether it is exactly the chosen one or only near. */
function tell({ problem, method }, { run, exact }) {
  if (run === undefined) return "No run of this study uses this method on this problem.";
  const cell = (name) => (kinds[columns.indexOf(name)] === "Int64" ? whole : show)(cellOf(problem, run, name));
  const of = `Status: ${cellOf(problem, run, "status")}.`, second = problem.momentum[run];
  const [has, beta] = !method.step ? ["method", ""] : !method.second ? ["step size", ""]
    : method.sampled ? ["step size and batch size", ` and B = ${whole(second)}`]
    : ["step size and momentum", ` and β = ${show(second)}`];
  const which = exact ? `Run ${cellOf(problem, run, "run_id")} has this ${has}.` : "No run of this study has exactly" +
    ` this ${has}. The nearest has ηλmax = ${show(problem.relative_step[run])}${beta}.`;
  if (method.sampled) return `${which} ${of} Its gaps are means over its paths.`;
  return `${which} ${of} Rate: ${cell("rate_measured")} measured,` +
    ` ${cell("rate_predicted")} predicted. Iterations to the study's tolerance:` +
    ` ${cell("iterations_to_tolerance")} measured, ${cell("iterations_predicted")} predicted.`;
}

/** Set a slider to a stop, and enable the buttons of those stops that there are. */
function putSlider(name, stops, stop, word) {
  const ariaValueText = `${show(stop.at)}, ${word}`;
  Object.assign(byId(name), { max: stops.length - 1, value: stops.indexOf(stop), ariaValueText });
  byId(`${name}-marks`).replaceChildren();
  for (const button of byId(`${name}-places`).querySelectorAll(":not([data-by])")) {
    const value = stops.findIndex(({ marks }) => marks.includes(button.value));
    if (!(button.disabled = value < 0)) add(byId(`${name}-marks`), "option", { value });
  }
}

/** Update everything to the state. */
function draw() {
  const { problem, method, steps, step, momenta, momentum } = state;
  const theory = theoryOf(problem, { method, step: step.step, momentum: momentum.at });
  const [t, times] = timesOf(theory, problem, state.t), curve = theory.follow(times), now = curve[times.indexOf(t)];
  const [word, style, sentence] = verdict(state, theory, Math.max(...curve.map(({ most }) => most)));
  byId("problem").value = data.problems.indexOf(problem);
  byId("method").value = methods.indexOf(method);
  byId("verdict").className = style;
  [`${word}.`, sentence].forEach((text, k) => (byId("verdict").children[k].textContent = text));
  for (const node of document.querySelectorAll("[data-for]")) node.hidden = !method[node.dataset.for];
  putSlider("step", steps, step, word);
  putSlider("momentum", momenta, momentum, word);
  const off = limitOf(method, momentum.at, problem) / step.at - 1;
  put("relative-step", step.at, show(step.at, Math.abs(off) < 5e-4 ? 9 : 4));
  put("beta", momentum.at, (method.sampled ? whole : show)(momentum.at));
  const { stated, stepLimit, floor } = theory;
  for (const [id, value] of Object.entries({ "nu-coursework": stated, "step-size": step.step, stepLimit, floor }))
    put(id, value ?? "", show(value ?? null));
  put("nu", theory.nu, nearOne(theory.logNu));
  const needed = theory.iterationsTo(Number(byId("tolerance").value));
  put("iterations", needed ?? "", needed === Infinity ? "never" : needed ? whole(needed) : `> ${whole(theory.limit)}`);
  Object.assign(byId("iteration"), { max: times.at(-1), value: t });
  put("iteration-shown", t, whole(t));
  byId("after").textContent = `${whole(t)} iteration${t === 1 ? "" : "s"}`;
  const near = nearestRun(state), run = near.exact ? near.run : undefined, [at, gaps] = problem.points[run] ?? [[], []];
  const values = [now.exact, gaps[at.indexOf(t)] ?? null, now.sharp, now.bound, now.stated];
  document.querySelectorAll(".readout data").forEach(({ id, parentElement }, k) => {
    put(id, values[k] ?? "", show(values[k]));
    parentElement.nextElementSibling.textContent = k && now.exact > 0 ? show(values[k] && values[k] / now.exact) : "";
  });
  byId("measured-run").textContent = tell(state, near);
  drawGap(problem, theory, times, curve, now, run);
  if (method.rates) drawRate(state, theory);
  drawEigenvalues(problem, theory, curve[0], now);
  if (method.momentum) drawPlane(state);
}

/** Change a part of the state, find the stops of the sliders, and draw. */
function change(changes) {
  const before = state.method, here = (stop) => (changes.problem ? [] : [{ ...stop, marks: [], exact: false }]);
  Object.assign(state, changes.problem && { t: null }, changes);
  const has = (each) => (each.sampled ? state.problem.moments : runsOf(state.problem, each).length);
  const offered = methods.filter((each) => each.usual || has(each));
  for (const option of byId("method").options) option.hidden = !offered.includes(methods[option.value]);
  if (!offered.includes(state.method)) state.method = methods[0];
  const { problem, method, step } = state;
  if (!method.second) state.momentum = { at: 0, marks: [] };
  else if (before && !changes.momentum && !(before.second && before.sampled === method.sampled)) {
    const best = () => Math.min(0.99, bestMomentum(method, step.at, problem.largest / problem.smallest));
    state.momentum = { at: method.sampled ? 1 : best() };
  }
  state.steps = stepsOf(problem, method, state.momentum.at, here(step));
  state.step = nearStop(state.steps, step.at);
  state.momenta = method.second ? momentaOf(problem, method, step.at, here(state.momentum)) : [state.momentum];
  state.momentum = nearStop(state.momenta, state.momentum.at);
  draw();
}

/** Choose a problem and a run of it. */
function explore(problem, run) {
  const step = { at: problem.relative_step[run] ?? state.step?.at ?? 1 }, momentum = { at: problem.momentum[run] ?? 0 };
  change({ problem, method: methods[problem.method[run]], step, momentum });
}

/** Go to the next run in the order of step size and momentum, or to the one before. */
function exploreNext({ problem, method, step, momentum }, by) {
  const order = (a, b, c, d) => by * (Math.abs(a - c) > NEXT * c ? a - c : Math.abs(b - d) > NEXT ? b - d : 0);
  const place = (run) => [problem.relative_step[run], problem.momentum[run] ?? 0];
  const next = runsOf(problem, method).filter((run) => order(...place(run), step.at, momentum.at) > 0);
  if (next.length) explore(problem, next.sort((a, b) => order(...place(a), ...place(b)))[0]);
}

function startExplorer() {
  for (const [name, stops] of [["step", "steps"], ["momentum", "momenta"]]) {
    byId(name).oninput = (event) => change({ [name]: state[stops][event.target.value] });
    for (const button of byId(`${name}-places`).children)
      button.onclick = () => button.dataset.by ? exploreNext(state, button.dataset.by)
        : change({ [name]: state[stops].find(({ marks }) => marks.includes(button.value)) });
  }
  data.problems.forEach(({ label }, value) => add(byId("problem"), "option", { value }, label));
  methods.forEach(({ words }, value) => add(byId("method"), "option", { value }, words));
  byId("problem").onchange = (event) => change({ problem: data.problems[event.target.value] });
  byId("method").onchange = (event) => change({ method: methods[event.target.value] });
  byId("iteration").oninput = (event) => draw((state.t = Number(event.target.value)));
  byId("tolerance").onchange = draw;
  const problem = data.problems[data.first], method = methods[Math.min(...problem.method)];
  const first = method.sampled ? limitOf(method, 1, problem) / 2 : 1;
  const step = optimumOf(method, problem) ?? { at: first, momentum: 0 };
  explore(problem, nearestRun({ problem, method, step, momentum: { at: step.momentum } }).run);
  new ResizeObserver(draw).observe(document.querySelector(".charts"));
}

document.documentElement.classList.add("ready");
if (data.problems.length) startExplorer();
else for (const node of [byId("explorer"), document.querySelector('a[href="#explorer"]')]) node.remove();
