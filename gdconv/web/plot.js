
// Numbers as text, and charts in SVG elements. Text of the study is set as text, never as markup.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);

const raised = (power) => String(power).replace(/./g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit] ?? "⁻");

/** A number with so many significant digits; null, which does not apply, is a dash. */
function show(value, digits = 4) {
  if (value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (value === 0) return "0";
  const plain = value.toPrecision(digits).replace("-", "−");
  if (Math.abs(value) >= 1e-3 && !plain.includes("e")) return plain;
  const [mantissa, power] = value.toExponential(digits - 1).split("e");
  return `${mantissa.replace("-", "−")} × 10${raised(Number(power))}`;
}

const whole = (value) => (value < 1e9 ? value.toLocaleString("en-US") : show(value));

/** Append an element of the parent's own kind, HTML or SVG. */
function add(parent, name, attributes = {}, text = "") {
  const node = parent.appendChild(document.createElementNS(parent.namespaceURI, name));
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}

/** The least of 1, 2, 5, 10, 20, … that is not below a value. */
function rounded(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((digit) => digit * power >= value * (1 - 1e-9)) * power;
}

function ticks({ from, to, log }, most) {
  const [low, high] = log ? [Math.log10(from), Math.log10(to)] : [from, to];
  const apart = Math.max(rounded((high - low) / most), log ? 1 : 0);
  const steps = Array.from(
    { length: Math.max(0, Math.floor(high / apart + 1e-9) - Math.ceil(low / apart - 1e-9) + 1) },
    (_, k) => Number(((Math.ceil(low / apart - 1e-9) + k) * apart).toPrecision(9)),
  );
  return steps.map((at) => (log ? [10 ** at, `10${raised(at)}`] : [at, at.toLocaleString("en-US")]));
}

/** From the values of an axis to pixels; what is far outside stays a number. */
function scale({ from, to, log }, start, end) {
  const place = log ? Math.log10 : Number;
  const slope = (end - start) / (place(to) - place(from));
  return (value) => Math.max(-9999, Math.min(9999, start + (place(value) - place(from)) * slope));
}

class Chart {
  /** An empty chart that fills an svg; an axis has from, to, log and label. */
  constructor(svg, x, y) {
    svg.replaceChildren();
    const box = { left: 46, right: 12, top: 8, bottom: 36 };
    const width = Math.max(80, svg.clientWidth - box.left - box.right);
    const height = Math.max(80, svg.clientHeight - box.top - box.bottom);
    this.x = scale(x, 0, width);
    this.y = scale(y, height, 0);
    this.left = box.left;
    this.inside = add(svg, "svg", { x: box.left, y: box.top, width, height });
    for (const [value, label] of ticks(y, Math.max(2, height / 45))) {
      this.line([x.from, x.to], [value, value], "tick");
      const at = { x: box.left - 6, y: box.top + this.y(value) + 4, "text-anchor": "end" };
      add(svg, "text", at, label);
    }
    for (const [value, label] of ticks(x, Math.max(2, width / 75))) {
      this.line([value, value], [y.from, y.to], "tick");
      const at = { x: box.left + this.x(value), y: box.top + height + 16, "text-anchor": "middle" };
      add(svg, "text", at, label);
    }
    const end = { x: box.left + width, y: box.top + height + 32, "text-anchor": "end" };
    add(svg, "text", end, x.label);
    add(svg, "rect", { x: box.left, y: box.top, width, height, class: "frame" });
  }

  line(xs, ys, style) {
    const points = xs.map((x, k) => `${this.x(x).toFixed(2)},${this.y(ys[k]).toFixed(2)}`);
    add(this.inside, "path", { d: `M${points.join("L")}`, class: style });
  }

  dot(x, y, radius, style) {
    add(this.inside, "circle", { cx: this.x(x), cy: this.y(y), r: radius, class: style });
  }

  band(from, to, style) {
    const [top, bottom] = [this.y(to), this.y(from)];
    const size = { x: 0, y: top, width: "100%", height: Math.max(0, bottom - top) };
    add(this.inside, "rect", { ...size, class: style });
  }
}
