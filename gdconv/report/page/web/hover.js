// Values under the pointer. A chart tells those of the nearest place, also by the keyboard; a click takes the place.
/** Show the values at the k-th place of a chart, and a line there. */
function readAt(svg, k, y) {
  const { chart, xs, tell } = svg.reading;
  svg.place = xs[k];
  svg.querySelector(".cursor")?.remove();
  chart.line([xs[k], xs[k]], chart.ends, "cursor");
  outputOf(svg).textContent = tell(k, y);
}

const outputOf = (svg) => svg.closest("figure").querySelector("output");
const nearestTo = (xs, distance) => xs.reduce((best, x, k) => (distance(x) < distance(xs[best]) ? k : best), 0);

/** Where the pointer is: the number of the nearest place, and the value of the other axis. */
function under({ reading: { chart, xs } }, { clientX, clientY, currentTarget }) {
  const { left, top } = currentTarget.getBoundingClientRect(), pixel = clientX - left - chart.left;
  return [nearestTo(xs, (x) => Math.abs(chart.x(x) - pixel)), chart.value(clientY - top - chart.top)];
}

/**
 * Let readers see the values of a chart: tell(k, y) is the text at xs[k], where y is the value of the other axis at the
 * pointer, undefined for the keyboard; take(k, y) goes there. The keyboard begins at `start`.
 */
Chart.prototype.reads = function (xs, start, tell, take) {
  const { svg } = this;
  Object.assign(svg, { reading: { chart: this, xs, tell, take }, tabIndex: 0 });
  svg.classList.toggle("taken", take !== undefined);
  svg.onpointerdown = svg.onpointermove = (event) => {
    if (event.buttons) svg.reading.take?.(...under(svg, event));
    readAt(svg, ...under(svg, event));
  };
  const here = () => nearestTo(svg.reading.xs, (x) => Math.abs(x - (svg.place ?? start)));
  svg.onfocus = () => svg.matches(":focus-visible") && readAt(svg, here());
  svg.onpointerleave = svg.onblur = () => {
    svg.querySelector(".cursor")?.remove();
    outputOf(svg).textContent = "";
  };
  svg.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key], k = here();
    if (by) readAt(svg, Math.max(0, Math.min(svg.reading.xs.length - 1, k + by)));
    else if (event.key === "Enter") svg.reading.take?.(k);
    else return;
    event.preventDefault();
  };
  if (svg.matches(":hover, :focus-visible") && svg.place !== undefined) readAt(svg, here());
  else outputOf(svg).textContent = "";
};
