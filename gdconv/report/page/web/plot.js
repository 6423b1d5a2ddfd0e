// Numbers as text, and charts as SVG elements. Text from the study is never treated as markup.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { titles, methods, table: { columns, headings, kinds, rows } } = data;

/** A whole power of ten with a superscript, such as 10⁻³. */
const tenTo = (power) => `10${String(power).replace(/./g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻")}`;
const same = (a, b) => Math.abs(a - b) <= 64 * Number.EPSILON * Math.abs(b); // Up to rounding.

/** A number with so many digits, or more so that none but 0.5, 1, 2 and 100 reads so; a dash for no number. */
function show(value, digits = 4) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value) || value === 0) return value > 0 ? "∞" : value < 0 ? "−∞" : "0";
  if ([0.5, 1, 2, 100].some((mark) => mark === Number(value.toPrecision(digits)) && !same(value, mark)))
    return show(value, digits + 1);
  const [mantissa, power] = value.toExponential(digits - 1).replace("-", value < 0 ? "−" : "-").split("e");
  if (power >= -3 && power < digits) return value.toPrecision(digits).replace("-", "−");
  return `${mantissa}\u00a0×\u00a0${tenTo(Number(power))}`;
}

const whole = (value) => (value !== null && value < 1e9 ? value.toLocaleString("en-US") : show(value));

/** Append an element in the parent's namespace, HTML or SVG. */
function add(parent, name, attributes = {}, text = "") {
  const node = parent.appendChild(document.createElementNS(parent.namespaceURI, name));
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** Values and labels of about so many ticks: 1, 2 or 5 times a power of ten apart, or powers of ten if log. */
function ticks({ from, to, log }, most) {
  const [low, high] = log ? [Math.log10(from), Math.log10(to)] : [from, to];
  const power = 10 ** Math.floor(Math.log10((high - low) / most));
  const apart = Math.max([1, 2, 5, 10].find((digit) => digit * power * most >= high - low) * power, log ? 1 : 0);
  const found = [];
  for (let k = Math.ceil(low / apart - 1e-9); k * apart <= high + 1e-9 * apart; k++) {
    const at = Number((k * apart).toPrecision(9));
    const text = at.toLocaleString("en-US", { notation: at < 1e5 ? "standard" : "compact" });
    found.push(log ? [10 ** at, tenTo(at)] : [at, text]);
  }
  return found;
}

/** A function from values of an axis to pixels; values far outside are clipped, so that infinity is a number too. */
function scale({ from, to, log }, start, end) {
  const place = log ? Math.log10 : Number;
  const slope = (end - start) / (place(to) - place(from));
  return (value) => Math.max(-9999, Math.min(9999, start + (place(value) - place(from)) * slope));
}

class Chart {
  /** An empty chart that fills an svg. An axis is {from, to, log}; x has a label as well. */
  constructor(svg, x, y) {
    svg.replaceChildren();
    // The name of a chart is its caption as it is shown. What it says in numbers is its description.
    svg.setAttribute("aria-label", svg.closest("figure").querySelector("figcaption").innerText);
    this.description = add(svg, "desc");
    const [left, top, width, height] = [46, 8, Math.max(80, svg.clientWidth - 60), Math.max(80, svg.clientHeight - 44)];
    const value = (pixel) => y.from + (1 - pixel / height) * (y.to - y.from); // Of an axis that is not logarithmic.
    Object.assign(this, { svg, left, top, x: scale(x, 0, width), y: scale(y, height, 0), ends: [y.from, y.to], value });
    this.inside = add(svg, "svg", { x: left, y: top, width, height });
    for (const [value, label] of ticks(y, Math.max(2, height / 45))) {
      this.line([x.from, x.to], [value, value], "tick");
      add(svg, "text", { x: left - 6, y: top + this.y(value) + 4, "text-anchor": "end" }, label);
    }
    for (const [value, label] of ticks(x, Math.max(2, width / 75))) {
      this.line([value, value], [y.from, y.to], "tick");
      const text = add(svg, "text", { x: left + this.x(value), y: top + height + 16, "text-anchor": "middle" }, label);
      const over = left + this.x(value) + text.getComputedTextLength() / 2 - svg.clientWidth;
      if (over > 0) text.setAttribute("x", left + this.x(value) - over);
    }
    add(svg, "text", { x: left + width, y: top + height + 32, "text-anchor": "end" }, x.label);
    add(svg, "rect", { x: left, y: top, width, height, class: "frame" });
  }

  line(xs, ys, style) {
    const points = xs.map((x, k) => `${this.x(x).toFixed(2)},${this.y(ys[k]).toFixed(2)}`);
    add(this.inside, "path", { d: `M${points.join("L")}`, class: style });
  }

  dot(x, y, radius, style) {
    add(this.inside, "circle", { cx: this.x(x), cy: this.y(y), r: radius, class: style });
  }
}
