
// The explorer: theory of the chosen problem at the chosen step size, by the closed forms.
const MOST_PARTS = 24, MOST_STEMS = 300, DECADES = 1e18;

/** ln |1 − x|, with the digits that 1 − x would round away. */
const logFactor = (x) => (x < 0.5 ? Math.log1p(-x) : Math.log(Math.abs(1 - x)));
const power = (log, t) => (t === 0 ? 1 : Math.exp(2 * t * log));
const sum = (values) => values.reduce((total, value) => total + value, 0);

/** Indices spread evenly over a number of things, the first and the last among them. */
function spread(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, k) => k);
  return Array.from({ length: most }, (_, k) => Math.round((k * (count - 1)) / (most - 1)));
}

/** What theory says at a step size; parts is ½λc² for each eigenvalue, the gap's at the start. */
function theoryOf(problem, step) {
  const { eigenvalue, distance_squared: distance, lambda_min: lambdaMin } = problem;
  const [largest, smallest] = [eigenvalue[0], eigenvalue.at(-1)];
  const logs = eigenvalue.map((lambda) => logFactor(step * lambda));
  const parts = eigenvalue.map((lambda, i) => (lambda * problem.error_component_squared[i]) / 2);
  const logNu = Math.max(logs[0], logs.at(-1));
  const stated = 1 - step * lambdaMin;
  const part = (i, t) => parts[i] * power(logs[i], t);
  return {
    logs,
    logNu,
    part,
    stated,
    nu: Math.max(Math.abs(1 - step * largest), Math.abs(1 - step * smallest)),
    gap: (t) => sum(parts.map((_, i) => part(i, t))),
    bound: (t) => (largest / 2) * distance * power(logNu, t),
    boundAsStated: (t) => (largest / 2) * distance * power(Math.log(Math.abs(stated)), t),
    boundSharp: (t) => {
      const inner = Math.min(largest, Math.max(smallest, 1 / (step * (2 * t + 1))));
      const worst = [inner, largest].map((lambda) => lambda * power(logFactor(step * lambda), t));
      return (Math.max(...worst) / 2) * distance;
    },
    iterationsTo: (part) =>
      logNu < 0 ? Math.max(1, Math.ceil(Math.log(part) / (2 * logNu))) : Infinity,
  };
}

/** The step sizes the slider stops at: a grid, the landmarks, and exactly those of the runs. */
function stopsOf(problem) {
  const [largest, smallest] = [problem.eigenvalue[0], problem.eigenvalue.at(-1)];
  const best = 2 / (smallest + largest);
  const at = (relative, ...marks) => ({ relative, step: relative / largest, marks });
  const stops = [at(1, "safe"), at(2, "edge"), { ...at(best * largest, "optimum"), step: best }];
  for (let k = 1; k <= 250; k++) stops.push(at(k / 100));
  const least = Math.min(0.01, ...problem.relative_step);
  for (let relative = 0.01; relative > least; relative /= 1.25) stops.push(at(relative));
  const margin = 2 - best * largest;
  // Where the optimum is close to the edge, there is something to see between and around them.
  if (margin < 0.02) for (const part of [-8, -4, -1, 0.5, 2, 4, 8]) stops.push(at(2 - part * margin));
  problem.relative_step.forEach((relative, run) =>
    stops.push({ relative, step: problem.step_size[run], marks: [], run }),
  );
  const kept = [];
  for (const stop of stops.sort((a, b) => a.relative - b.relative)) {
    const last = kept.at(-1);
    if (!last || stop.relative - last.relative > 8 * Number.EPSILON * stop.relative) kept.push(stop);
    else {
      const marks = [...last.marks, ...stop.marks];
      Object.assign(last, last.run === undefined ? stop : {}, { marks });
    }
  }
  return kept;
}

/** How gradient descent ends at a step size: a word, its style, and a sentence. */
function verdict(problem, stop, theory) {
  const rate = `ν² = ${show(theory.nu ** 2)}`;
  const largest = problem.eigenvalue[0];
  if (stop.marks.includes("edge"))
    return ["On the edge", "edge", "The part of λmax neither shrinks nor grows."];
  if (stop.marks.includes("optimum")) {
    const text = "The parts of λmax and λ⁺min shrink equally fast, and no other fixed step has a smaller ν";
    return ["Optimal", "optimal", `${text} than (κ − 1)/(κ + 1).`];
  }
  if (stop.relative > 2) {
    const count = theory.logs.filter((log) => log > 0).length;
    const promise = Math.abs(theory.stated) < 1 ? ", while the bound as stated promises convergence" : "";
    const text = `${count} of ${theory.logs.length} parts grow, that of λmax by ${rate} an iteration`;
    return ["Diverges", "diverges", `${text}${promise}.`];
  }
  const slow = theory.logs[0] > theory.logs.at(-1);
  const stated = stop.step * (problem.lambda_min + largest) <= 2 ? "true" : "false";
  const text = slow ? "λmax is the slowest, and its error changes sign each time" : "λ⁺min is the slowest";
  return ["Converges", "converges", `In the end by ${rate} an iteration: the part of ${text}. The bound as stated is ${stated} here.`];
}

const state = { problem: data.problems[0], stops: [], stop: null, t: null };

function put(id, value, text = show(value)) {
  byId(id).value = String(value);
  byId(id).textContent = text;
}

/** The last iteration of the chart: where the gap leaves it below or above. */
function horizon(theory) {
  const needed = Math.log(theory.logNu < 0 ? DECADES : 1e4) / (2 * Math.abs(theory.logNu));
  const longest = Math.max(100, ...state.problem.points.map(([t]) => t.at(-1) ?? 0));
  return rounded(Math.max(5, Math.min(Number.isFinite(needed) ? needed : longest, 1e9)));
}

function drawGap(theory, last, t) {
  const { problem, stop } = state;
  const start = theory.gap(0) || 1;
  const x = { from: 0, to: last, label: "iteration t" };
  const y = { from: start / DECADES, to: 1e3 * (theory.bound(0) || 1), log: true };
  const chart = new Chart(byId("gap-chart"), x, y);
  if (stop.run !== undefined) chart.band(y.from, problem.gap_floor[stop.run] ?? 0, "floor");
  const early = Array.from({ length: 40 }, (_, k) => last ** (k / 40));
  const times = [...spread(last + 1, 200), ...early.map(Math.round)].sort((a, b) => a - b);
  const line = (values, style) => chart.line(times, times.map(values), style);
  for (const i of spread(theory.logs.length, MOST_PARTS).slice(1, -1)) line((s) => theory.part(i, s), "part");
  line((s) => theory.part(theory.logs.length - 1, s), "smallest");
  line((s) => theory.part(0, s), "largest");
  line(theory.boundSharp, "sharp");
  line(theory.bound, "bound");
  line(theory.boundAsStated, "stated");
  line(theory.gap, "exact");
  chart.line([t, t], [y.from, y.to], "now");
  const [at, gaps] = problem.points[stop.run] ?? [[], []];
  at.forEach((s, k) => chart.dot(s, gaps[k], 4, "dot"));
  chart.dot(t, theory.gap(t), 4.5, "here");
}

function drawRate(theory) {
  const { problem, stop } = state;
  const to = Math.max(2.5, 1.02 * Math.min(4, Math.max(...problem.relative_step)));
  const x = { from: 0, to, label: "relative step ηλmax" };
  const chart = new Chart(byId("rate-chart"), x, { from: 0, to: 1.6 });
  const [largest, smallest] = [problem.eigenvalue[0], problem.eigenvalue.at(-1)];
  const best = 2 / (1 + smallest / largest);
  const steps = [...spread(201, 201).map((k) => (k * to) / 200), best].sort((a, b) => a - b);
  const nu = (step) => Math.max(Math.abs(1 - step), Math.abs(1 - (step * smallest) / largest));
  chart.line([0, to], [1, 1], "now");
  chart.line(steps, steps.map((step) => (1 - (step * problem.lambda_min) / largest) ** 2), "stated");
  chart.line(steps, steps.map((step) => nu(step) ** 2), "exact");
  const measured = data.table.columns.indexOf("rate_measured");
  problem.row.forEach((row, k) => {
    const rate = data.table.rows[row][measured] ?? null;
    if (rate !== null) chart.dot(problem.relative_step[k], rate, 3.5, "dot");
  });
  chart.line([stop.relative, stop.relative], [0, 1.6], "now");
  chart.dot(stop.relative, theory.nu ** 2, 4.5, "here");
  byId("rate-chart").onpointerdown = byId("rate-chart").onpointermove = (event) => {
    const across = event.clientX - byId("rate-chart").getBoundingClientRect().left - chart.left;
    if (event.buttons) goNear((across / chart.x(to)) * to);
  };
}

function drawParts(theory, t) {
  const { eigenvalue } = state.problem;
  const last = eigenvalue.length - 1;
  const ratio = eigenvalue[last] / eigenvalue[0];
  const log = ratio < 0.05;
  const x = { from: log ? ratio / 1.5 : 0, to: log ? 1.5 : 1.05, log, label: "λ/λmax" };
  const start = theory.gap(0) || 1;
  const chart = new Chart(byId("part-chart"), x, { from: start / DECADES, to: 1e3 * start, log: true });
  for (const i of spread(last + 1, MOST_STEMS)) {
    const at = eigenvalue[i] / eigenvalue[0];
    const [before, now] = [theory.part(i, 0), theory.part(i, t)];
    const style = i === 0 ? "largest" : i === last ? "smallest" : "";
    chart.line([at, at], [before, now], `part ${style}`);
    chart.dot(at, before, 3, "ring");
    chart.dot(at, now, i % last ? 3 : 4.5, `full ${style}`);
  }
  const [gap, now] = [theory.gap(t), eigenvalue.map((_, i) => theory.part(i, t))];
  const most = now.indexOf(now.reduce((a, b) => Math.max(a, b)));
  const percent = `${show((100 * now[most]) / gap, 3)} %`;
  byId("dominant").textContent = gap > 0 ? `largest: ${percent} of the gap, that of eigenvalue ${most + 1}` : "";
}

function tellRun() {
  const { problem, stop } = state;
  const row = data.table.rows[problem.row[stop.run]];
  const cell = (name) => row[data.table.columns.indexOf(name)] ?? null;
  byId("measured-run").textContent = row
    ? `Measured at this step, run ${cell("run_id")}: ${cell("status")}; rate ${show(cell("rate_measured"))},` +
      ` predicted ${show(cell("rate_predicted"))}; ${cell("iterations_to_tolerance") ?? "–"} iterations to the` +
      ` tolerance of the study, predicted ${cell("iterations_predicted") ?? "–"}.`
    : "No run of this study has exactly this step size.";
}

/** Show everything anew for the state. */
function draw() {
  const { problem, stops, stop } = state;
  const theory = theoryOf(problem, stop.step);
  const last = horizon(theory);
  const t = Math.min(state.t ?? Math.round(last / 4), last);
  byId("step").value = stops.indexOf(stop);
  byId("step").setAttribute("aria-valuetext", `${show(stop.relative)}, ${verdict(problem, stop, theory)[0]}`);
  put("relative-step", stop.relative, show(stop.relative, 2 - stop.relative < 1e-3 ? 9 : 4));
  Object.assign(byId("iteration"), { max: last, value: t });
  for (const id of ["iteration-shown", "after"]) byId(id).textContent = whole(t);
  byId("after").textContent += t === 1 ? " iteration" : " iterations";
  const [word, style, sentence] = verdict(problem, stop, theory);
  byId("verdict").className = style;
  byId("verdict").children[0].textContent = `${word}.`;
  byId("verdict").children[1].textContent = sentence;
  const off = -Math.expm1(theory.logNu);
  put("nu", theory.nu, off > 0 && off < 1e-3 ? `1 − ${show(off)}` : show(theory.nu));
  put("nu-as-stated", theory.stated);
  put("step-size", stop.step);
  const needed = theory.iterationsTo(Number(byId("tolerance").value));
  put("iterations", needed, needed < Infinity ? whole(needed) : "never");
  const gap = theory.gap(t);
  const [at, gaps] = problem.points[stop.run] ?? [[], []];
  const values = [gap, gaps[at.indexOf(t)] ?? null, theory.boundSharp(t), theory.bound(t), theory.boundAsStated(t)];
  document.querySelectorAll(".readout data").forEach((cell, k) => {
    put(cell.id, values[k] ?? "", show(values[k]));
    cell.parentElement.nextElementSibling.textContent = k && gap > 0 ? show(values[k] && values[k] / gap) : "";
  });
  tellRun();
  drawGap(theory, last, t);
  drawRate(theory);
  drawParts(theory, t);
}

function go(stop) {
  state.stop = stop;
  draw();
}

/** Go to the stop nearest to a relative step. */
function goNear(relative) {
  const off = (stop) => Math.abs(stop.relative - relative);
  go(state.stops.reduce((best, stop) => (off(stop) < off(best) ? stop : best)));
}

/** Choose a problem, and one of its runs. */
function explore(problem, run) {
  Object.assign(state, { problem, stops: stopsOf(problem), t: null });
  byId("problem").value = data.problems.indexOf(problem);
  byId("step").max = state.stops.length - 1;
  byId("landmarks").replaceChildren();
  state.stops.forEach((stop, k) => stop.marks.length && add(byId("landmarks"), "option", { value: k }));
  goNear(problem.relative_step[run]);
}

function startExplorer() {
  const mark = (name) => state.stops.find((stop) => stop.marks.includes(name));
  const measured = (stops) => stops.find((stop) => stop.run !== undefined);
  const places = {
    safe: () => mark("safe"),
    optimum: () => mark("optimum"),
    edge: () => mark("edge"),
    previous: () => measured(state.stops.slice(0, state.stops.indexOf(state.stop)).reverse()),
    next: () => measured(state.stops.slice(state.stops.indexOf(state.stop) + 1)),
  };
  for (const button of document.querySelectorAll("[data-go]"))
    button.onclick = () => go(places[button.dataset.go]() ?? state.stop);
  data.problems.forEach((problem, k) => add(byId("problem"), "option", { value: k }, problem.label));
  byId("problem").onchange = (event) => {
    const { relative } = state.stop;
    explore(data.problems[event.target.value], 0);
    goNear(relative);
  };
  byId("step").oninput = (event) => go(state.stops[event.target.value]);
  byId("iteration").oninput = (event) => draw((state.t = Number(event.target.value)));
  byId("tolerance").onchange = draw;
  explore(state.problem, 0);
  const best = mark("optimum").relative;
  const off = (run) => Math.abs(state.problem.relative_step[run] - best);
  explore(state.problem, state.problem.row.reduce((least, _, run) => (off(run) < off(least) ? run : least), 0));
  new ResizeObserver(draw).observe(document.querySelector(".charts"));
}

document.documentElement.classList.add("ready");
if (data.problems.length) startExplorer();
else for (const node of [byId("explorer"), document.querySelector('a[href="#explorer"]')]) node.remove();
