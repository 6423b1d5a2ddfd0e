// The explorer: closed forms of theory, for the chosen problem and step size.
const MOST_PARTS = 24, MOST_STEMS = 300, RANGE = 1e18;

/** ln |1 − x|; for a small x, log1p keeps the digits that computing 1 − x would lose. */
const logFactor = (x) => (x < 0.5 ? Math.log1p(-x) : Math.log(Math.abs(1 - x)));
const power = (log, t) => (t === 0 ? 1 : Math.exp(2 * t * log));
/** Text for a contraction factor, given by its logarithm; close to 1 it is written as 1 − a small number. */
const nearOne = (log, off = -Math.expm1(log)) =>
  off > 0 && off < 1e-3 ? `1\u00a0−\u00a0${show(off)}` : show(Math.exp(log));

/** At most so many indices, spread evenly from the first to the last. */
function spread(count, most) {
  const step = Math.max(1, (count - 1) / (most - 1));
  return Array.from({ length: Math.min(count, most) }, (_, k) => Math.round(k * step));
}

/** What theory predicts at a step size; part(i, t) is what eigenvalue i contributes to the gap after t iterations. */
function theoryOf(problem, step) {
  const { largest, smallest, distance_squared: distance } = problem;
  const logs = problem.eigenvalue.map((lambda) => logFactor(step * lambda));
  const parts = problem.eigenvalue.map((lambda, i) => (lambda * problem.error_component_squared[i]) / 2);
  const logNu = Math.max(logs[0], logs.at(-1));
  const stated = 1 - step * problem.lambda_min;
  const part = (i, t) => parts[i] && parts[i] * power(logs[i], t);
  return {
    logs, logNu, part, stated,
    nu: Math.max(Math.abs(1 - step * largest), Math.abs(1 - step * smallest)),
    gap: (t) => parts.reduce((total, _, i) => total + part(i, t), 0),
    bound: (t) => (largest / 2) * distance * power(logNu, t),
    boundAsStated: (t) => (largest / 2) * distance * power(Math.log(Math.abs(stated)), t),
    boundSharp: (t) => {
      const inner = Math.min(largest, Math.max(smallest, 1 / (step * (2 * t + 1))));
      const [a, b] = [inner, largest].map((lambda) => lambda * power(logFactor(step * lambda), t));
      return (Math.max(a, b) / 2) * distance;
    },
    iterationsTo: (part) => (logNu < 0 ? Math.max(1, Math.ceil(Math.log(part) / (2 * logNu))) : Infinity),
  };
}

/** The step sizes at which the slider stops: a grid, the landmarks, and the exact steps of the runs. */
function stopsOf({ largest, smallest, relative_step: measured, step_size: steps }) {
  const best = 2 / (smallest + largest);
  const at = (relative, ...marks) => ({ relative, step: relative / largest, marks });
  const stops = [at(1, "safe"), at(2, "edge"), { relative: best * largest, step: best, marks: ["optimum"] }];
  for (let k = 1; k <= 250; k++) stops.push(at(k / 100));
  for (let relative = 0.01; relative > Math.min(...measured); relative /= 1.25) stops.push(at(relative));
  // If the optimum is close to the edge, the grid is too coarse to show what happens between them.
  const margin = 2 - best * largest;
  if (margin < 0.02) for (const part of [-8, -4, -1, 0.5, 2, 4, 8]) stops.push(at(2 - part * margin));
  measured.forEach((relative, run) => stops.push({ relative, step: steps[run], marks: [], run }));
  const kept = [];
  for (const stop of stops.sort((a, b) => a.relative - b.relative)) {
    const last = kept.at(-1);
    if (!last || stop.relative - last.relative > 8 * Number.EPSILON * stop.relative) kept.push(stop);
    else Object.assign(last, last.run === undefined ? stop : {}, { marks: [...last.marks, ...stop.marks] });
  }
  return kept;
}

/** Whether gradient descent converges at a step size: a word, its style, and a sentence. */
function verdict({ largest, lambda_min: least }, { relative, step, marks }, { logs, logNu, stated }) {
  const rate = `Each iteration multiplies the gap by at most ν² = ${nearOne(2 * logNu)}`;
  if (marks.includes("edge")) return ["On the edge", "edge", "The part of λmax neither shrinks nor grows."];
  if (marks.includes("optimum"))
    return ["Optimal", "optimal", `${rate}: the parts of λmax and λ⁺min shrink equally fast. ` +
      "No other fixed step size has a smaller ν."];
  if (relative > 2)
    return ["Diverges", "diverges", `${rate}; ${logs.filter((log) => log > 0).length} of ` +
      `${logs.length} parts grow${Math.abs(stated) < 1 ? ", but the coursework’s bound promises convergence" : ""}.`];
  const slowest = logs[0] > logs.at(-1) ? "λmax, whose error changes sign in every iteration" : "λ⁺min";
  return ["Converges", "converges", `${rate}. The slowest part is that of ${slowest}. ` +
    `The coursework’s bound is ${step * (least + largest) <= 2 || same(least, largest) ? "true" : "false"} here.`];
}

/** The last iteration of the chart: about where the gap leaves it, or where the longest run ends. */
function horizon({ logNu }, { points }) {
  const needed = Math.log(logNu < 0 ? RANGE : 1e4) / (2 * Math.abs(logNu));
  const longest = Math.max(100, ...points.map(([t]) => t.at(-1) ?? 0));
  const last = Math.max(5, Math.min(Number.isFinite(needed) ? needed : longest, 1e9));
  const unit = 10 ** Math.floor(Math.log10(last));
  return Math.ceil(last / unit) * unit;
}

function drawGap({ problem, stop }, theory, last, t) {
  const [from, to] = [(theory.gap(0) || 1) / RANGE, 1e3 * (theory.bound(0) || 1)];
  const chart = new Chart(byId("gap-chart"), { from: 0, to: last, label: titles.iteration }, { from, to, log: true });
  if (theory.logNu <= 0 && stop.run !== undefined)
    add(chart.inside, "rect", { y: chart.y(problem.gap_floor[stop.run]), width: "100%", height: 9999, class: "floor" });
  const early = spread(40, 40).map((k) => Math.round(last ** (k / 40)));
  const times = [...spread(last + 1, 200), ...early].sort((a, b) => a - b);
  const line = (values, style) => chart.line(times, times.map(values), style);
  for (const i of spread(theory.logs.length, MOST_PARTS).slice(1, -1)) line((s) => theory.part(i, s), "part");
  line((s) => theory.part(theory.logs.length - 1, s), "smallest");
  line((s) => theory.part(0, s), "largest");
  line(theory.boundSharp, "sharp");
  line(theory.bound, "bound");
  line(theory.boundAsStated, "stated");
  line(theory.gap, "exact");
  chart.line([t, t], [from, to], "now");
  const [at, gaps] = problem.points[stop.run] ?? [[], []];
  at.forEach((s, k) => chart.dot(s, gaps[k], 4, "dot"));
  chart.dot(t, theory.gap(t), 4.5, "here");
}

function drawRate({ problem, stop }, theory) {
  const [to, top] = [Math.max(2.5, 1.02 * Math.min(4, Math.max(...problem.relative_step))), 1.6];
  const svg = byId("rate-chart");
  const chart = new Chart(svg, { from: 0, to, label: titles.relative_step }, { from: 0, to: top });
  const kappa = problem.largest / problem.smallest;
  const steps = [...spread(201, 201).map((k) => (k * to) / 200), 2 / (1 + 1 / kappa)].sort((a, b) => a - b);
  chart.line([0, to], [1, 1], "now");
  chart.line(steps, steps.map((x) => (1 - (x * problem.lambda_min) / problem.largest) ** 2), "stated");
  chart.line(steps, steps.map((x) => Math.max(Math.abs(1 - x), Math.abs(1 - x / kappa)) ** 2), "exact");
  // A run without a measured rate is drawn below the chart, where it cannot be seen.
  problem.relative_step.forEach((x, run) => chart.dot(x, cellOf(problem, run, "rate_measured") ?? -1, 3.5, "dot"));
  chart.line([stop.relative, stop.relative], [0, top], "now");
  chart.dot(stop.relative, theory.nu ** 2, 4.5, "here");
  svg.onpointerdown = svg.onpointermove = (event) => {
    const across = event.clientX - svg.getBoundingClientRect().left - chart.left;
    if (event.buttons) goNear((across / chart.x(to)) * to);
  };
}

function drawParts({ problem: { eigenvalue, largest, smallest } }, theory, t) {
  const last = eigenvalue.length - 1, log = smallest < 0.05 * largest, start = theory.gap(0) || 1;
  const x = { from: log ? smallest / largest / 1.5 : 0, to: log ? 1.5 : 1.05, log, label: "λ/λmax" };
  const chart = new Chart(byId("part-chart"), x, { from: start / RANGE, to: 1e3 * start, log: true });
  for (const i of spread(last + 1, MOST_STEMS)) {
    const at = eigenvalue[i] / largest, style = i === 0 ? "largest" : i === last ? "smallest" : "";
    chart.line([at, at], [theory.part(i, 0), theory.part(i, t)], `part ${style}`);
    chart.dot(at, theory.part(i, 0), 3, "ring");
    chart.dot(at, theory.part(i, t), style ? 4.5 : 3, `full ${style}`);
  }
  const parts = eigenvalue.map((_, i) => theory.part(i, t)), gap = theory.gap(t);
  const most = parts.indexOf(parts.reduce((a, b) => Math.max(a, b)));
  const share = `eigenvalue ${most + 1} makes up ${show((100 * parts[most]) / gap, 3)} % of the gap`;
  byId("dominant").textContent = gap > 0 && gap < Infinity ? share : "";
}

/** The cell of runs.csv for a run of a problem. */
const cellOf = (problem, run, name) => rows[problem.row[run]][columns.indexOf(name)] ?? null;

function tellRun({ problem, stop: { run } }) {
  const cell = (name) => (kinds[columns.indexOf(name)] === "Int64" ? whole : show)(cellOf(problem, run, name));
  byId("measured-run").textContent = run === undefined
    ? "No run of this study has exactly this step size."
    : `Run ${cellOf(problem, run, "run_id")} has this step size. Status: ${cellOf(problem, run, "status")}. Rate:` +
      ` ${cell("rate_measured")} measured, ${cell("rate_predicted")} predicted. Iterations to the study's` +
      ` tolerance: ${cell("iterations_to_tolerance")} measured, ${cell("iterations_predicted")} predicted.`;
}

const state = { problem: null, stops: [], stop: null, t: null };

const put = (id, value, textContent = show(value)) => Object.assign(byId(id), { value, textContent });

/** Update everything to the state. */
function draw() {
  const { problem, stops, stop } = state;
  const theory = theoryOf(problem, stop.step);
  const last = horizon(theory, problem);
  const t = Math.min(state.t ?? Math.round(last / 4), last);
  const [word, style, sentence] = verdict(problem, stop, theory);
  byId("verdict").className = style;
  [`${word}.`, sentence].forEach((text, k) => (byId("verdict").children[k].textContent = text));
  byId("step").value = stops.indexOf(stop);
  byId("step").setAttribute("aria-valuetext", `${show(stop.relative)}, ${word}`);
  put("relative-step", stop.relative, show(stop.relative, Math.abs(2 - stop.relative) < 1e-3 ? 9 : 4));
  put("nu", theory.nu, nearOne(theory.logNu));
  put("nu-coursework", theory.stated);
  put("step-size", stop.step);
  const needed = theory.iterationsTo(Number(byId("tolerance").value));
  put("iterations", needed, needed < Infinity ? whole(needed) : "never");
  Object.assign(byId("iteration"), { max: last, value: t });
  put("iteration-shown", t, whole(t));
  byId("after").textContent = `${whole(t)} iteration${t === 1 ? "" : "s"}`;
  const [at, gaps] = problem.points[stop.run] ?? [[], []];
  const gap = theory.gap(t), measured = gaps[at.indexOf(t)] ?? null;
  const values = [gap, measured, theory.boundSharp(t), theory.bound(t), theory.boundAsStated(t)];
  document.querySelectorAll(".readout data").forEach((cell, k) => {
    put(cell.id, values[k] ?? "", show(values[k]));
    cell.parentElement.nextElementSibling.textContent = k && gap > 0 ? show(values[k] && values[k] / gap) : "";
  });
  tellRun(state);
  drawGap(state, theory, last, t);
  drawRate(state, theory);
  drawParts(state, theory, t);
}

/** The element nearest to a value. */
const nearest = (some, value, of) =>
  some.reduce((a, b) => (Math.abs(of(b) - value) < Math.abs(of(a) - value) ? b : a));
const go = (stop) => draw((state.stop = stop));
const goNear = (relative) => go(nearest(state.stops, relative, (stop) => stop.relative));

/** Choose a problem, and the stop nearest to a relative step. */
function explore(problem, relative) {
  Object.assign(state, { problem, stops: stopsOf(problem), t: null });
  byId("problem").value = data.problems.indexOf(problem);
  byId("step").max = state.stops.length - 1;
  byId("landmarks").replaceChildren();
  state.stops.forEach((stop, k) => stop.marks.length && add(byId("landmarks"), "option", { value: k }));
  goNear(relative);
}

function startExplorer() {
  const places = {
    previous: () => state.stops.findLast(({ relative, run }) => run >= 0 && relative < state.stop.relative),
    next: () => state.stops.find(({ relative, run }) => run >= 0 && relative > state.stop.relative),
  };
  for (const button of document.querySelectorAll("#places button"))
    button.onclick = () => {
      const marked = () => state.stops.find((stop) => stop.marks.includes(button.value));
      go((places[button.value] ?? marked)() ?? state.stop);
    };
  data.problems.forEach((problem, k) => add(byId("problem"), "option", { value: k }, problem.label));
  byId("problem").onchange = (event) => explore(data.problems[event.target.value], state.stop.relative);
  byId("step").oninput = (event) => go(state.stops[event.target.value]);
  byId("iteration").oninput = (event) => draw((state.t = Number(event.target.value)));
  byId("tolerance").onchange = draw;
  const problem = data.problems[data.first];
  explore(problem, nearest(problem.relative_step, 2 / (1 + problem.smallest / problem.largest), Number));
  new ResizeObserver(draw).observe(document.querySelector(".charts"));
}

document.documentElement.classList.add("ready");
for (const problem of data.problems)
  Object.assign(problem, { largest: problem.eigenvalue[0], smallest: problem.eigenvalue.at(-1) });
if (data.problems.length) startExplorer();
else for (const node of [byId("explorer"), document.querySelector('a[href="#explorer"]')]) node.remove();
