
// The table of runs: sorted by a heading, filtered by conditions and words, drawn as far as needed.
const AT_FIRST = 100, MORE = 400;
const { columns, kinds, rows } = data.table;
const explored = new Map();
for (const problem of data.problems) problem.row.forEach((row, run) => explored.set(rows[row], [problem, run]));
const table = { sorted: columns.length, down: false, shown: AT_FIRST, found: rows };

const isNumber = (column) => ["Int64", "float64"].includes(kinds[column]);

function cellText(value) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string" || Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1e-4 && Math.abs(value) < 1e7 ? String(value) : value.toExponential();
}

const COMPARE = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

/** A function from a row to whether it meets one word of the filter; throws what is wrong with it. */
function condition(word) {
  const [, name, sign, wanted] = word.match(/^(\w+)(!=|<=|>=|=|<|>)(.*)$/) ?? [];
  if (!sign) return (row) => row.some((value) => cellText(value).toLowerCase().includes(word.toLowerCase()));
  const column = columns.indexOf(name);
  if (column < 0) throw new Error(`There is no column ${name}.`);
  if (wanted === "") return () => true;
  if (!isNumber(column)) return (row) => COMPARE[sign](cellText(row[column]), wanted);
  if (Number.isNaN(Number(wanted))) throw new Error(`${wanted} is not a number.`);
  return (row) => row[column] !== null && COMPARE[sign](row[column], Number(wanted));
}

/** Numbers as numbers; empty cells last, whichever way. */
function inOrder(some) {
  const column = table.sorted;
  if (column === columns.length) return some;
  const sign = table.down ? -1 : 1;
  const compare = (a, b) => (a === b ? 0 : a === null ? 1 : b === null ? -1 : a < b ? -sign : sign);
  return [...some].sort((a, b) => compare(a[column], b[column]));
}

function find() {
  let message = "";
  try {
    const conditions = byId("filter").value.split(/\s+/).filter(Boolean).map(condition);
    table.found = inOrder(rows.filter((row) => conditions.every((holds) => holds(row))));
    message = `${table.found.length} of ${rows.length} runs.`;
  } catch (error) {
    message = error.message;
  }
  byId("matching").textContent = message;
  table.shown = AT_FIRST;
  for (const button of byId("statuses").children)
    button.setAttribute("aria-pressed", button.value === byId("filter").value);
  drawRows();
}

function drawRows() {
  const body = document.createElement("tbody");
  for (const row of table.found.slice(0, table.shown)) {
    const line = add(body, "tr");
    row.forEach((value, k) => add(line, "td", isNumber(k) ? {} : { class: "text" }, cellText(value)));
    const last = add(line, "td");
    if (!explored.has(row)) continue;
    add(last, "button", { type: "button", "aria-label": "show in the explorer" }, "explore").onclick = () => {
      explore(...explored.get(row));
      byId("explorer").scrollIntoView();
      byId("step").focus({ preventScroll: true });
    };
  }
  byId("run-table").tBodies[0].replaceWith(body);
  byId("more").hidden = table.shown >= table.found.length;
}

function startTable() {
  const head = add(byId("run-table").tHead, "tr");
  columns.forEach((name, column) => {
    const cell = add(head, "th", isNumber(column) ? { scope: "col" } : { scope: "col", class: "text" });
    const button = add(cell, "button", { type: "button" });
    // A long name may be broken where it has an underscore.
    name.split("_").forEach((part, k) => button.append(...(k ? ["_", document.createElement("wbr"), part] : [part])));
    button.onclick = () => {
      table.down = table.sorted === column && !table.down;
      table.sorted = column;
      for (const other of head.children) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", table.down ? "descending" : "ascending");
      find();
    };
  });
  add(head, "th", { "aria-label": "explorer" });
  const status = columns.indexOf("status");
  const statuses = [...new Set(rows.map((row) => row[status]))].sort();
  for (const each of statuses.length > 1 ? statuses : []) {
    const count = rows.filter((row) => row[status] === each).length;
    const button = add(byId("statuses"), "button", { type: "button", value: `status=${each}` }, `${each} ${count}`);
    button.onclick = () => {
      byId("filter").value = byId("filter").value === button.value ? "" : button.value;
      find();
    };
  }
  byId("filter").oninput = find;
  byId("more").onclick = () => drawRows((table.shown += MORE));
  find();
}

startTable();
