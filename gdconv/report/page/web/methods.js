// The methods: pₜ(λ)², by which t iterations multiply the square of an error along an eigenvector, and what follows.

/** At most so many indices, spread evenly from the first to the last. */
const spread = (count, most, step = Math.max(1, (count - 1) / (most - 1))) =>
  Array.from({ length: Math.min(count, most) }, (_, k) => Math.round(k * step));

/** ln |1 − x|; for a small x, log1p keeps the digits that computing 1 − x would lose. */
const logFactor = (x) => (x < 0.5 ? Math.log1p(-x) : Math.log(Math.abs(1 - x)));
const power = (log, t) => (t === 0 ? 1 : Math.exp(2 * t * log));

/**
 * The p with p_{t+1} = p_t + b (p_t − p_{t−1}) − c p_t and p_0 = p_{−1} = 1; the first c may be another. square(t) is
 * p_t², and log is ln |z| of the larger root of z² = (1 + b − c) z − b. Nearly equal numbers are not subtracted.
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

/** pₜ² of Nesterov's method with momentum (t − 1)/(t + 2) at some x, for values of t that do not fall. */
function march(xs, t = 0) {
  const p = new Float64Array(xs.length).fill(1), move = new Float64Array(xs.length);
  return (last) => {
    for (; t < last; t++)
      for (let i = 0, momentum = t && (t - 1) / (t + 2); i < p.length; i++)
        p[i] += move[i] = momentum * (1 - xs[i]) * move[i] - xs[i] * p[i];
    return Array.from(p, (each) => (Number.isNaN(each) ? Infinity : each * each)); // NaN is beyond infinity.
  };
}

/** The least t from 1 to a limit at which something holds, or null; then it is taken to fail only for a short time. */
function firstTime(holds, limit) {
  let t = 1;
  while (t <= limit && !holds(t)) t = Math.ceil(1.03 * t);
  for (let step = 2 ** Math.floor(Math.log2(t)); step >= 32; step /= 2) if (t > step && holds(t - step)) t -= step;
  return spread(64, 64).map((k) => t - 63 + k).find((at) => at >= 1 && at <= limit && holds(at)) ?? null;
}

/** The largest f(λ) and λf(λ) between the first and the last of some λ, by golden sections at the tops. */
function peaks(squares, points) {
  const values = squares(points), last = points.length - 1;
  const highest = (weight, f = (at) => squares([at])[0] * weight(at)) =>
    points.map((at, k) => values[k] * weight(at)).reduce((best, value, k, all) => {
      if (value < best / 2 || value < all[k - 1] || value < all[k + 1]) return best;
      let [low, high] = [points[Math.max(0, k - 2)], points[Math.min(k + 2, last)]]; // Two points may nearly coincide.
      let at = low + 0.3819660112501051 * (high - low), top = f(at);
      for (let step = 0; step < 30; step++) {
        const other = low + high - at, found = f(other), better = found > top, edge = better ? at : other;
        [low, high] = better === other > at ? [edge, high] : [low, edge];
        if (better) [at, top] = [other, found];
      }
      return Math.max(best, value, top);
    }, 0);
  return [highest(() => 1), highest(Number)];
}

/**
 * Values of λ, several for each wave of p_t² that may be the highest. Such a wave is next to an end or, for λp_t² with
 * Nesterov's constant momentum, to a middle. It is π/2t or π/t long in u, where λ = base + width sin² u.
 */
function pointsOf(method, { smallest, largest }, step, momentum, t) {
  const root = method.heavy ? Math.sqrt(momentum) : momentum, narrow = method.heavy ? 1 : (1 + root) ** 2;
  const [base, width] = method.chebyshev ? [method.lower * smallest, method.upper * largest - method.lower * smallest]
    : method.convex ? [0, 1 / step] : [((1 - momentum) / (1 + root)) ** 2 / step, (4 * root) / narrow / step];
  const b = (width - (t - 1) * base) / 2, under = Math.max(0, b * b - (1 + t) * width * base);
  const turn = (past) => Math.asin(Math.sqrt(Math.min(1, Math.max(0, past / width))));
  const turns = [smallest - base, largest - base, (b + Math.sqrt(under)) / (1 + t)].map(turn);
  const around = (u) => spread(49, 49).map((k) => u + ((k / 16 - 1.5) * Math.PI) / t);
  const angles = turns.slice(0, method.convex ? 1 : 3).flatMap(around).filter((u) => turns[0] < u && u < turns[1]);
  const early = spread(37, 37).map((k) => smallest * (largest / smallest) ** (k / 36));
  const some = [...early, ...angles.map((u) => base + width * Math.sin(u) ** 2)];
  return [smallest, ...some.filter((at) => smallest < at && at < largest).sort((a, b) => a - b), largest];
}

/**
 * The noise of batches of some size: φ, E gap at rest for a step size, which is null if it grows without bound, and the
 * step size from which on it does. moments.py explains the numbers of `moments`.
 */
function noiseOf({ moments: { n, first, second, rows }, eigenvalue, largest }, { replacement }, size) {
  const phi = (replacement ? 1 : Math.max(0, n - size) / (n - 1 || 1)) / size;
  const rest = (step) => {
    const own = (a) => first[a] + second[a] - step * (1 - phi) * first[a] * second[a];
    const all = rows.map((row, a) => row.map((each, b) => (a === b ? own(a) : 0) - step * phi * each));
    // A symmetric matrix has only positive pivots if and only if it has only positive eigenvalues.
    for (const [k, pivot] of all.entries()) {
      if (!(pivot[k] > 0)) return null;
      for (const row of all)
        for (let b = row.length - 1, part = row[k] / pivot[k]; row !== pivot && b >= k; b--) row[b] -= part * pivot[b];
    }
    return eigenvalue.reduce((sum, v, i) => sum - (v * all[i].at(-1)) / all[i][i] / 2, 0);
  };
  let [low, limit] = [0, 2 / largest];
  for (let k = 0, at; k < 60; k++) if (rest((at = (low + limit) / 2)) === null) limit = at; else low = at;
  return { phi, rest, limit };
}

const noise = (problem, method, size) => // Computed once.
  (problem.moments[`${method.replacement} ${size}`] ??= noiseOf(problem, method, size));

/** What is expected of stochastic gradient descent, in the form of theoryOf. */
function expectationOf(problem, method, step, size) {
  const { first, second, rows, start } = problem.moments, of = noise(problem, method, size), more = of.phi * step ** 2;
  const keeps = first.map((v, a) => (1 - step * v) * (1 - step * second[a]) - more * v * second[a]);
  const noisy = (row, z) => more * row.reduce((sum, each, b) => sum + each * z[b], 0);
  const follow = (times, t = 0, z = start) => times.map((last) => {
    for (; t < last; t++) z = z.map((each, a) => keeps[a] * each + (a < rows.length ? noisy(rows[a], z) : 0));
    const part = problem.eigenvalue.map((v, i) => (Number.isNaN(z[i]) ? Infinity : (v * z[i]) / 2)); // As in march.
    return { t: last, part, most: 1, exact: part.reduce((a, b) => a + b), sharp: null, bound: null, stated: null };
  });
  const limit = Math.floor(1e7 / (rows.length * start.length)), floor = of.rest(step), [{ exact }] = follow([0]);
  const range = Math.min(RANGE, 1e3 * (Math.max(1, exact / (floor ?? exact)) || 1));
  return { follow, logNu: 0, nu: "", stated: null, limit, iterationsTo: () => null, floor, stepLimit: of.limit, range };
}

/** What theory predicts. follow(times) tells for each time the part of each eigenvalue, the gap and its bounds. */
function theoryOf(problem, { method, step, momentum }) {
  if (method.sampled) return expectationOf(problem, method, step, momentum);
  const { eigenvalue, largest, smallest, distance_squared: distance } = problem, xs = eigenvalue.map((v) => step * v);
  const one = (lambda) => solved(method, step * lambda, momentum, lambda, problem), each = eigenvalue.map(one);
  const limit = method.convex ? Math.min(2000, Math.floor(1.5e6 / xs.length)) : 1e9;
  const parts = eigenvalue.map((lambda, i) => (lambda * problem.error_component_squared[i]) / 2);
  const logs = each.map(({ log }) => log), logNu = Math.max(logs[0], logs.at(-1));
  const stated = method.descent ? 1 - step * problem.lambda_min : null;
  const squares = (some, t) => method.convex ? march(some.map((v) => step * v))(t) : some.map((v) => one(v).square(t));
  const points = (t) => pointsOf(method, problem, step, momentum, t || 1);
  const both = (t) => peaks((some) => squares(some, t), points(t));
  const follow = (times, next = march(xs)) => times.map((t) => {
    const squares = method.convex ? next(t) : each.map(({ square }) => square(t)), [most, weighted] = both(t);
    const part = parts.map((each, i) => each && each * squares[i]);
    return {
      t, part, squares, most, exact: part.reduce((total, each) => total + each, 0),
      sharp: (weighted / 2) * distance, bound: (largest / 2) * distance * most,
      stated: stated === null ? null : (largest / 2) * distance * power(Math.log(Math.abs(stated)), t),
    };
  });
  const reaches = (part) => (t) => Math.max(...squares([smallest, largest], t)) <= part && both(t)[0] <= part;
  const iterationsTo = (part) => logNu >= 0 ? Infinity : method.descent || (method.momentum && momentum === 0)
    ? Math.max(1, Math.ceil(Math.log(part) / (2 * logNu))) : firstTime(reaches(part), limit);
  const even = spread(401, 401).map((k) => smallest + (largest - smallest) * Math.sin((k * Math.PI) / 800) ** 2);
  const mode = (t, some = [...points(t), ...even].sort((a, b) => a - b)) => [some, squares(some, t)];
  return { logs, logNu, nu: Math.exp(logNu), stated, limit, mode, follow, iterationsTo };
}

/** The relative step at which a method ceases to converge; the expected gap, if it draws samples. */
const limitOf = (method, beta, problem) => method.sampled ? noise(problem, method, beta).limit * problem.largest
  : method.heavy ? 2 * (1 + beta) : method.convex ? 4 / 3 : (2 + 2 * beta) / (1 + 2 * beta);

/** The momentum with the smallest ν at x = ηλmax; 1 or more if none lets heavy ball converge. */
function bestMomentum(method, x, kappa) {
  const [least, most] = [x / kappa, x].map(Math.sqrt), double = Math.max(0, (1 - least) / (1 + least));
  if (method.heavy) return Math.max((1 - least) ** 2, (1 - most) ** 2);
  if (3 * x + x / kappa <= 4) return double;
  // λ⁺min has a double root there, but λmax a larger one. ν is least where both have the same root.
  const p = x - 1, q = 1 - x / kappa, under = (p + q) ** 2 - 8 * p * q * (q - p);
  const root = (4 * p * q) / (p + q + Math.sqrt(Math.max(0, under)));
  return p < q ? Math.max(0, (root * (root - p)) / (p * (1 + root))) : 0;
}

/** The step size and the momentum with the smallest ν; null for a method that has no such step size. */
function optimumOf(method, { largest, smallest }) {
  if (!method.step || method.convex || method.sampled) return null;
  const step = method.descent ? 2 / (smallest + largest)
    : method.heavy ? 4 / (Math.sqrt(largest) + Math.sqrt(smallest)) ** 2 : 4 / (3 * largest + smallest);
  const momentum = method.momentum ? bestMomentum(method, step * largest, largest / smallest) : 0;
  return { step, at: step * largest, momentum };
}
