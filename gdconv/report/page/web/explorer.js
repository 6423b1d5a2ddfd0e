// The explorer: what theory predicts for the chosen problem, method, step size and momentum, beside the runs.
const RANGE = 1e18, NEXT = 256 * Number.EPSILON;
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
  remember();
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

/** Mark what reacts to a slider with the slider's letter; beta is B if samples are drawn. */
function markFollowers() {
  const letters = { step: [["η", "step"]], momentum: [["β", "momentum"], ["B", "sampled"]], iteration: [["t"]] };
  for (const node of document.querySelectorAll("[data-follows]")) {
    const mark = add(node.querySelector(".follows") ?? node, "small", { class: "marks" }, "moves with");
    for (const slider of node.dataset.follows.split(" "))
      for (const [letter, of] of letters[slider])
        add(mark, "var", { class: `mark of-${slider}`, ...(of ? { "data-for": of } : {}) }, letter);
  }
}

function startExplorer() {
  markFollowers();
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
  const at = (stops, mark) => stops.find(({ marks }) => marks.includes(mark));
  if (method.momentum) change({ momentum: at(state.momenta, "overall") });
  change({ step: at(state.steps, "optimum") ?? state.step });
  new ResizeObserver(draw).observe(document.querySelector(".charts"));
}

document.documentElement.classList.add("ready");
if (data.problems.length) startExplorer();
else for (const node of [byId("explorer"), document.querySelector('a[href="#explorer"]')]) node.remove();
