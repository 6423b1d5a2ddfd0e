// The table of runs: sorted by a column, filtered, with the columns of choice, drawn in parts, saved as CSV.
const AT_FIRST = 100, MORE = 400;
const varies = (column) => rows.length < 2 || rows.some((row) => row[column] !== rows[0][column]);
const table = { sorted: null, down: false, shown: AT_FIRST, found: rows, columns: [...columns.keys()].filter(varies) };
const explored = new Map();
for (const problem of data.problems)
  problem.row.forEach((row, run) => explored.set(rows[row], [problem, run]));

/** Compare two cells of a column in the order of sorting; empty cells come last in either direction. */
const inOrder = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b !== table.down ? -1 : 1);

function find() {
  const wanted = byId("filter").value, column = table.sorted;
  try {
    [table.found, byId("matching").textContent] = matching(wanted);
    if (column !== null) table.found.sort((a, b) => inOrder(a[column], b[column]));
  } catch (error) {
    byId("matching").textContent = error.message;
  }
  for (const button of byId("statuses").children) button.setAttribute("aria-pressed", button.value === wanted);
  table.shown = AT_FIRST;
  drawHead();
  drawRows();
  remember();
}

function drawHead() {
  const focused = document.activeElement.closest("#run-table thead") && document.activeElement.title;
  byId("run-table").tHead.replaceChildren();
  const head = add(byId("run-table").tHead, "tr");
  add(head, "td");
  for (const column of table.columns) {
    const cell = add(head, "th", { scope: "col", class: isNumber(column) ? "" : "text" });
    if (column === table.sorted) cell.setAttribute("aria-sort", table.down ? "descending" : "ascending");
    const button = add(cell, "button", { type: "button", title: columns[column] }, headings[column]);
    button.onclick = () => find(Object.assign(table, { sorted: column, down: table.sorted === column && !table.down }));
    if (columns[column] === focused) button.focus();
  }
}

function drawRows() {
  const body = document.createElement("tbody");
  for (const row of table.found.slice(0, table.shown)) {
    const line = add(body, "tr"), first = add(line, "td");
    for (const k of table.columns) add(line, "td", isNumber(k) ? {} : { class: "text" }, cellText(row[k]));
    if (!explored.has(row)) continue;
    add(first, "button", { type: "button", "aria-label": "show in the explorer" }, "explore").onclick = () => {
      explore(...explored.get(row));
      byId("explorer").scrollIntoView();
      byId(state.method.step ? "step" : "method").focus({ preventScroll: true });
    };
  }
  byId("run-table").tBodies[0].replaceWith(body);
  byId("more").hidden = table.shown >= table.found.length;
}

/** Show some columns, which keep their order. */
function choose(chosen) {
  table.columns = [...columns.keys()].filter((column) => chosen.includes(column));
  byId("columns").querySelectorAll("input").forEach((box, column) => (box.checked = chosen.includes(column)));
  find();
}

/** The rows that are found, with the columns that are shown, as CSV (RFC 4180) with the names of runs.csv. */
function asCsv() {
  const written = (value) => (typeof value === "boolean" ? (value ? "True" : "False") : String(value ?? ""));
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const lines = [columns, ...table.found].map((row) => table.columns.map((k) => cell(written(row[k]))).join(","));
  return `${lines.join("\n")}\n`;
}

function startTable() {
  const filter = byId("filter"), boxes = byId("columns").querySelector(".buttons");
  headings.forEach((heading, column) => {
    const label = add(boxes, "label"), box = add(label, "input", { type: "checkbox", value: columns[column] });
    label.append(` ${heading}`);
    box.onchange = () => choose(table.columns.filter((each) => each !== column).concat(box.checked ? [column] : []));
  });
  for (const button of byId("statuses").children)
    button.onclick = () => find((filter.value = filter.value === button.value ? "" : button.value));
  filter.oninput = find;
  byId("more").onclick = () => drawRows((table.shown += MORE));
  byId("save-rows").onclick = () => save("runs.csv", asCsv(), "text/csv");
  choose(table.columns);
}

startTable();
