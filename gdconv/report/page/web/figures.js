// The figures: saved as files, and taken apart where the window is too narrow for two panels side by side.
const NARROW = matchMedia("(max-width: 40rem)");
// In points: the line above all panels, ticks and name of an axis below a panel, the sample in a legend; and how much
// larger a part of a legend is drawn.
const HEADER = 11, LABELS = 32, SAMPLE = 20, LARGER = 1.4;
const bytesOf = (text) => Array.from(new TextEncoder().encode(text), (code) => String.fromCharCode(code)).join("");
const decoded = (image) =>
  new TextDecoder().decode(Uint8Array.from(atob(image.src.split(",")[1]), (letter) => letter.charCodeAt(0)));
const encoded = (svg) => `data:image/svg+xml;base64,${btoa(bytesOf(svg))}`;

/** Width and height of an SVG in points. */
const sizeOf = (svg) => svg.match(/viewBox="0 0 ([\d.]+) ([\d.]+)"/).slice(1).map(Number);

/** The SVG as its file has it, without the colours of dark mode. */
const asFile = (image) => decoded(image).replace(/<g class="dark">.*?<\/g>/s, "");

/** Give the user a file. */
function save(name, content, type) {
  const href = URL.createObjectURL(new Blob([content], { type })), link = document.createElement("a");
  Object.assign(link, { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10000);
}

/** Save a figure as PNG, with 200 dots per inch as the files have. */
async function savePng(name, svg) {
  const image = new Image(), canvas = document.createElement("canvas");
  const [width, height] = sizeOf(svg).map((points) => Math.round((points * 200) / 72));
  image.src = encoded(svg);
  await image.decode();
  Object.assign(canvas, { width, height }).getContext("2d").drawImage(image, 0, 0, width, height);
  canvas.toBlob((blob) => save(`${name}.png`, blob, "image/png"));
}

/** The box of the panel that an element draws: that of the first path in it, its background. */
function boxOf(axes) {
  const numbers = axes.querySelector("path")?.getAttribute("d").match(/-?[\d.]+/g)?.map(Number) ?? [0, 0];
  const [xs, ys] = [0, 1].map((odd) => numbers.filter((_, k) => k % 2 === odd));
  return { axes, left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
}

/**
 * The columns of panels of a figure from left to right, each as a list of boxes. A colour bar, which is narrow, belongs
 * to the column on its left.
 */
function columnsOf(figure) {
  const found = [];
  for (const box of [...figure.querySelectorAll('[id^="axes_"]')].map(boxOf).sort((a, b) => a.left - b.left)) {
    const last = found.at(-1), narrow = box.right - box.left < 30;
    if (last && (narrow || box.left < Math.max(...last.filter((each) => !each.narrow).map(({ right }) => right))))
      last.push({ ...box, narrow });
    else found.push([{ ...box, narrow }]);
  }
  return found;
}

/** Where legends begin, and where they can be cut in two: left of the sample that is nearest to the middle. */
function cutOf(legends, width) {
  const texts = legends.flatMap((legend) => [...legend.querySelectorAll('[id^="text_"] > [transform]')]);
  const starts = texts.map((text) => Number(text.getAttribute("transform").match(/translate\(([\d.]+)/)?.[1]) - SAMPLE);
  const left = Math.min(...starts), inside = starts.filter((start) => start > left + SAMPLE);
  if (!inside.length) return [0, width];
  return [Math.max(0, left), inside.reduce((a, b) => (Math.abs(b - width / 2) < Math.abs(a - width / 2) ? b : a))];
}

/** Pictures of a figure to stand below each other: its header, each column of panels, and what is below the panels. */
function strips(svg) {
  if (svg.split('<g id="axes_').length < 3) return [];
  // The page's policy refuses styles also in what is only parsed, so they have another name meanwhile.
  const safe = svg.replace(/(<\/?|\s)style(?=[\s=>])/g, "$1data-style");
  const whole = new DOMParser().parseFromString(safe, "image/svg+xml").documentElement, columns = columnsOf(whole);
  const [width, height] = sizeOf(svg);
  if (columns.length < 2) return [];
  const every = columns.flat(), bottom = Math.max(...every.map((box) => box.bottom));
  const legends = [...whole.querySelectorAll('#figure_1 > [id^="legend_"]')];
  const show = (node, shown) => node.setAttribute("display", shown ? "inline" : "none");
  const part = (kept, left, top, right, end) => {
    for (const box of every) show(box.axes, kept.includes(box));
    for (const legend of legends) show(legend, kept.length === 0);
    const [w, h] = [right - left, end - top];
    const size = { viewBox: [left, top, w, h].join(" "), width: `${LARGER * w}pt`, height: `${LARGER * h}pt` };
    for (const [name, value] of Object.entries(size)) whole.setAttribute(name, value);
    return encoded(new XMLSerializer().serializeToString(whole).replaceAll("data-style", "style"));
  };
  const start = (k) => (k ? Math.max(...columns[k - 1].map(({ right }) => right)) + 2 : 0);
  const end = (k) => (columns[k + 1] ? Math.min(...columns[k + 1].map(({ left }) => left)) - 2 : width);
  const middle = columns.map((column, k) => part(column, start(k), HEADER, end(k), bottom + LABELS));
  const under = bottom + LABELS - 8, [left, cut] = cutOf(legends, width), below = [part([], left, under, cut, height)];
  if (cut < width) below.push(part([], cut, under, width, height));
  const wide = [part([], 0, 0, width, HEADER), ...middle];
  return [...wide.map((src) => [src, "strip"]), ...below.map((src) => [src, "strip legend"])];
}

/** Show each figure whole, or in strips in a narrow window. */
function arrange() {
  for (const picture of document.querySelectorAll(".picture")) {
    const image = picture.querySelector("img"), some = NARROW.matches ? strips(decoded(image)) : [];
    for (const strip of picture.querySelectorAll(".strip")) strip.remove();
    for (const [src, style] of some) add(picture, "img", { src, alt: "", class: style });
    image.hidden = some.length > 0;
    for (const [name, value] of [["role", "img"], ["aria-label", image.alt]])
      if (image.hidden) picture.setAttribute(name, value);
      else picture.removeAttribute(name);
  }
}

function startFigures() {
  for (const figure of document.querySelectorAll("#figures figure")) {
    const image = figure.querySelector("img"), name = figure.id.replace("figure-", "");
    figure.querySelector('[value="svg"]').onclick = () => save(`${name}.svg`, asFile(image), "image/svg+xml");
    figure.querySelector('[value="png"]').onclick = () => savePng(name, asFile(image));
  }
  NARROW.onchange = arrange;
  arrange();
}

startFigures();
