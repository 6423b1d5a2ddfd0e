// The table of runs: sorted by a column, filtered, drawn in parts.
const AT_FIRST = 100, MORE = 400;
const table = { sorted: null, down: false, shown: AT_FIRST, found: rows };
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
  drawRows();
}

function drawRows() {
  const body = document.createElement("tbody");
  for (const row of table.found.slice(0, table.shown)) {
    const line = add(body, "tr"), first = add(line, "td");
    row.forEach((value, k) => add(line, "td", isNumber(k) ? {} : { class: "text" }, cellText(value)));
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

function startTable() {
  const head = add(byId("run-table").tHead, "tr");
  add(head, "td");
  columns.forEach((name, column) => {
    const cell = add(head, "th", { scope: "col", class: isNumber(column) ? "" : "text" });
    add(cell, "button", { type: "button", title: name }, headings[column]).onclick = () => {
      Object.assign(table, { sorted: column, down: table.sorted === column && !table.down });
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", table.down ? "descending" : "ascending");
      find();
    };
  });
  const filter = byId("filter");
  for (const button of byId("statuses").children)
    button.onclick = () => find((filter.value = filter.value === button.value ? "" : button.value));
  filter.oninput = find;
  byId("more").onclick = () => drawRows((table.shown += MORE));
  find();
}

startTable();
