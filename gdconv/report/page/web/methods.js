// The methods: pₜ(λ)², by which t iterations multiply the square of an error along an eigenvector, and what follows.
const MOST_WORK = 3e6;

/** At most so many indices, spread evenly from the first to the last. */
const spread = (count, most, step = Math.max(1, (count - 1) / (most - 1))) =>
  Array.from({ length: Math.min(count, most) }, (_, k) => Math.round(k * step));

/** ln |1 − x|; for a small x, log1p keeps the digits that computing 1 − x would lose. */
const logFactor = (x) => (x < 0.5 ? Math.log1p(-x) : Math.log(Math.abs(1 - x)));
const power = (log, t) => (t === 0 ? 1 : Math.exp(2 * t * log));

/**
 * The p with p_{t+1} = p_t + b (p_t − p_{t−1}) − c p_t and p_0 = p_{−1} = 1; the first c may be another. square(t) is
 * p_t², and log that of the larger root z of z² = (1 + b − c) z − b in absolute value. 1 − z and the distance of the
 * roots are computed without subtracting numbers that are nearly equal.
 */
function solution(b, c, first = c) {
  const root = Math.sqrt(Math.max(b, 0)), away = (1 - b) / (1 + root), a = 1 + b - c;
  const under = b < 0 ? a * a - 4 * b : (away ** 2 - c) * ((1 + root) ** 2 - c);
  const width = Math.sqrt(Math.abs(under)), size = (Math.abs(a) + width) / 2;
  if (under < 0) {
    // The angle from the nearer side of the real axis, as that from the other one would lose digits close to π.
    const log = Math.log(b) / 2, angle = Math.atan2(width, Math.abs(a));
    const along = ((a < 0 ? -1 : 1) * (1 - b + c - 2 * first)) / width;
    return { log, square: (t) => power(log, t) * (Math.cos(t * angle) + along * Math.sin(t * angle)) ** 2 };
  }
  const less = (2 * c) / (1 - b + c + width), log = a > 0 && less < 0.5 ? Math.log1p(-less) : Math.log(size);
  const rest = a < 0 ? 1 - first + size : less - first, apart = size > 0 ? width / size : 1, ratio = 1 - apart;
  const several = (t) => (ratio < 0 ? 1 - (t % 2 ? -1 : 1) * (-ratio) ** t : -Math.expm1(t * Math.log1p(-apart)));
  const last = (t) => (a < 0 ? -size : size) + rest * (apart > 0 ? several(t) / apart : t);
  // Where rounding decides whether the roots are complex, they are taken to be equal.
  const equal = b > 0 && [away, 1 + root].some((edge) => Math.abs(Math.sqrt(c) - edge) < 16 * Number.EPSILON);
  return { log: equal ? Math.log(b) / 2 : log, square: (t) => (t === 0 ? 1 : power(log, t - 1) * last(t) ** 2) };
}

/** The same for Chebyshev's polynomial of the interval [a, b], divided by its value at 0. */
function chebyshev(a, b, lambda) {
  const width = Math.max(b - a, Number.EPSILON * b), part = Math.sqrt(a / (a + width));
  const within = Math.log1p(-part) - Math.log1p(part), off = Math.max(a - lambda, lambda - b) / width;
  const angle = 2 * Math.atan2(Math.sqrt(lambda - a), Math.sqrt(b - lambda));
  const more = 2 * Math.asinh(Math.sqrt(Math.max(0, off))), log = within + more;
  const swing = (t) => (off > 0 ? 1 + power(-more, t) : 2 * Math.cos(t * angle)) / (1 + power(within, t));
  return { log, square: (t) => power(log, t) * swing(t) ** 2 };
}

/** The same for a method, x = ηλ and λ, which is for Chebyshev's method only. With convex momentum, see march. */
function solved(method, x, momentum, lambda, { smallest, largest } = {}) {
  const { descent, heavy, averaged, convex, lower, upper } = method, log = logFactor(x);
  if (!method.step) return chebyshev(lower * smallest, upper * largest, lambda);
  if (convex) return { log: x < 1 ? Math.log1p(-x) / 2 : solution(1 - x, x).log };
  if (descent || momentum === 0) return { log, square: (t) => power(log, t) };
  return heavy ? solution(momentum, x, averaged ? x / (1 + momentum) : x) : solution(momentum * (1 - x), x);
}

/** Nesterov's method with momentum (t − 1)/(t + 2), step by step: visit(t, p_t), until that is true or t is last. */
function march(xs, last, visit) {
  const p = new Float64Array(xs.length).fill(1), move = new Float64Array(xs.length);
  for (let t = 0; t <= last && !visit(t, p); t++)
    for (let i = 0, momentum = t && (t - 1) / (t + 2); i < p.length; i++)
      p[i] += move[i] = momentum * (1 - xs[i]) * move[i] - xs[i] * p[i];
}

/** The least t ≥ 1 at which something holds; it is taken to go on to hold, but for a short time. */
function firstTime(holds) {
  let [before, t] = [0, 1];
  while (!holds(t)) [before, t] = [t, Math.ceil(1.03 * t)];
  for (let middle; t - before > 32; [before, t] = holds(middle) ? [before, middle] : [middle, t])
    middle = Math.floor((before + t) / 2);
  do before++; while (!holds(before));
  return before;
}

/** λ/λmax of 501 values of λ. Most are close to the ends, for the largest waves of a late p_t are short there. */
function gridOf(kappa) {
  const even = spread(201, 201).map((k) => (k * Math.PI) / 400);
  const close = spread(150, 150).map((k) => 1e-5 * 1e4 ** (k / 150));
  const angles = [...even, ...close, ...close.map((angle) => Math.PI / 2 - angle)];
  return angles.sort((a, b) => a - b).map((angle) => Math.cos(angle) ** 2 / kappa + Math.sin(angle) ** 2);
}

/** What theory predicts. follow(times) tells for each time the part of each eigenvalue, the gap and its bounds. */
function theoryOf(problem, { method, step, momentum }) {
  const { eigenvalue, largest, smallest, distance_squared: distance } = problem, kappa = largest / smallest;
  const count = eigenvalue.length, lambdas = [...eigenvalue, ...gridOf(kappa).map((part) => part * largest)];
  const xs = lambdas.map((lambda) => step * lambda), limit = method.convex ? Math.floor(MOST_WORK / xs.length) : 1e9;
  const each = lambdas.map((lambda, k) => solved(method, xs[k], momentum, lambda, problem));
  const parts = eigenvalue.map((lambda, i) => (lambda * problem.error_component_squared[i]) / 2);
  const logs = each.slice(0, count).map(({ log }) => log), logNu = Math.max(logs[0], logs.at(-1));
  const plain = method.descent || (method.momentum && momentum === 0);
  const stated = method.descent ? 1 - step * problem.lambda_min : null;
  // The maximum between λ⁺min and λmax, with a parabola through the highest value of the grid and its neighbours.
  const peak = (values) => {
    const grid = values.slice(count), most = Math.max(...grid), k = grid.indexOf(most);
    const [a, b] = [grid[k - 1], grid[k + 1]], seen = Math.min(a, b) > most / 2;
    return Math.max(...values, most + (seen && ((b - a) ** 2 / (8 * (2 * most - a - b)) || 0)));
  };
  const told = (t, squares) => {
    const part = parts.map((each, i) => each && each * squares[i]);
    const most = plain ? power(logNu, t) : peak(squares); // Gradient descent has closed forms.
    const inner = [largest, Math.min(largest, Math.max(smallest, 1 / (step * (2 * t + 1))))];
    const weighted = plain ? Math.max(...inner.map((lambda) => lambda * power(logFactor(step * lambda), t)))
      : peak(squares.map((square, k) => square * lambdas[k]));
    return {
      t, part, squares, most, exact: part.reduce((total, each) => total + each, 0),
      sharp: (weighted / 2) * distance, bound: (largest / 2) * distance * most,
      stated: stated === null ? null : (largest / 2) * distance * power(Math.log(Math.abs(stated)), t),
    };
  };
  const follow = (times) => {
    if (!method.convex) return times.map((t) => told(t, each.map(({ square }) => square(t))));
    // What has exceeded the largest float is no number after that.
    const wanted = new Set(times), found = [], square = (p) => (Number.isNaN(p) ? Infinity : p * p);
    march(xs, times.at(-1), (t, p) => wanted.has(t) && found.push(told(t, Array.from(p, square))) === wanted.size);
    return found;
  };
  const iterationsTo = (part) => {
    if (logNu >= 0) return Infinity;
    if (plain) return Math.max(1, Math.ceil(Math.log(part) / (2 * logNu)));
    if (!method.convex) return firstTime((t) => each.every(({ square }) => square(t) <= part));
    let first = null;
    march(xs, limit, (t, p) => p.every((now) => now * now <= part) && (first = t));
    return first;
  };
  return { logs, logNu, nu: Math.exp(logNu), stated, lambdas, count, limit, follow, iterationsTo };
}

/** The relative step at which a method ceases to converge. */
const limitOf = ({ heavy, convex }, momentum) =>
  heavy ? 2 * (1 + momentum) : convex ? 4 / 3 : (2 + 2 * momentum) / (1 + 2 * momentum);

/** The momentum with the smallest ν at x = ηλmax; 1 or more if none lets heavy ball converge. */
function bestMomentum(method, x, kappa) {
  const [least, most] = [x / kappa, x].map(Math.sqrt), double = Math.max(0, (1 - least) / (1 + least));
  if (method.heavy) return Math.max((1 - least) ** 2, (1 - most) ** 2);
  const [fast, slow] = [x, x / kappa].map((each) => solved(method, each, double).log), [p, q] = [x - 1, 1 - x / kappa];
  if (fast <= slow + 1e-14) return double;
  // λ⁺min has a double root there, but λmax a larger one. ν is least where both have the same root.
  const root = (4 * p * q) / (p + q + Math.sqrt(Math.max(0, (p + q) ** 2 - 8 * p * q * (q - p))));
  return p < q ? Math.max(0, (root * (root - p)) / (p * (1 + root))) : 0;
}

/** The step size and the momentum with the smallest ν; null for a method that has no such step size. */
function optimumOf(method, { largest, smallest }) {
  if (!method.step || method.convex) return null;
  const step = method.descent ? 2 / (smallest + largest)
    : method.heavy ? 4 / (Math.sqrt(largest) + Math.sqrt(smallest)) ** 2 : 4 / (3 * largest + smallest);
  const momentum = method.momentum ? bestMomentum(method, step * largest, largest / smallest) : 0;
  return { step, at: step * largest, momentum };
}
