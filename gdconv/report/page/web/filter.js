// The filter of the table: what is typed, as conditions that rows meet, and as words that say what was understood.
const isNumber = (column) => ["Int64", "float64"].includes(kinds[column]);

function cellText(value) {
  if (value === null || typeof value === "boolean") return value === null ? "–" : value ? "yes" : "no";
  const small = Math.abs(value) < 1e-4 || Math.abs(value) >= 1e7;
  return typeof value === "number" && small && !Number.isInteger(value) ? value.toExponential() : String(value);
}

// Other ways to write a sign, among them those of programming languages.
const SIGNS = { ":": "=", "==": "=", "≠": "!=", "<>": "!=", "=!": "!=", "≤": "<=", "=<": "<=", "≥": ">=", "=>": ">=" };
const compared = (a, sign, b) =>
  ({ "=": a === b, "!=": a !== b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b })[sign];

// A name of a column, a sign and a value, which may stand in quotes; or a word. Longer names are tried first, as some
// begin with a shorter one.
const known = [...columns, ...headings].sort((a, b) => b.length - a.length).join("|").replace(/[()]/g, "\\$&");
const PART = new RegExp(
  `(?<!\\S)(?:(${known}|[^\\s"]+?)\\s*([!<>]=|=[=<>!]|<>|[=<>:≠≤≥])\\s*("[^"]*"|\\S*)|"[^"]*"|\\S+)`, "gi");

const plain = (text) => text.toLowerCase().replace(/[\s_]+/g, " ");

/** The column of a name as in runs.csv or as in the heading, in small or capital letters; −1 if there is none. */
function columnOf(name) {
  const exact = Math.max(columns.indexOf(name), headings.indexOf(name));
  return exact >= 0 ? exact : [...columns, ...headings].map(plain).indexOf(plain(name)) % columns.length;
}

/** One part of the filter: whether a row meets it, and what was understood. A wrong part throws an Error. */
function condition([part, name, typed, quoted]) {
  const unquoted = (text) => text.replace(/^"(.*)"$/, "$1"), column = columnOf(name ?? unquoted(part));
  // A word may have a colon, as a file's path.
  if (!typed || (typed === ":" && column < 0)) {
    const word = unquoted(part).toLowerCase(), example = () => `${word} = ${cellText(rows[0]?.[column] ?? null)}`;
    const hint = column >= 0 ? ` (for a condition write ${example()})` : "";
    return [(row) => row.some((value) => cellText(value).toLowerCase().includes(word)), `“${word}” in a cell${hint}`];
  }
  const sign = SIGNS[typed] ?? typed, wanted = unquoted(quoted);
  if (column < 0) throw new Error(`There is no column ${name}.`);
  if (wanted === "") return [() => true, `${name} ${sign} …`]; // The user is still typing.
  const says = `${columns[column]} ${sign} ${wanted}`;
  if (isNumber(column)) {
    if (Number.isNaN(Number(wanted))) throw new Error(`${wanted} is not a number.`);
    return [(row) => row[column] !== null && compared(row[column], sign, Number(wanted)), says];
  }
  const values = [...new Set(rows.map((row) => cellText(row[column])))].sort(), text = wanted.toLowerCase();
  const there = sign !== "=" || values.some((value) => value.toLowerCase() === text);
  const some = [...values.slice(0, 5), ...(values.length > 5 ? ["another"] : [])].join(" or ");
  const hint = there ? "" : ` (${columns[column]} is ${some})`;
  return [(row) => compared(cellText(row[column]).toLowerCase(), sign, text), says + hint];
}

/** The rows that meet all parts of a filter, and what to say of them. */
function matching(filter) {
  const parts = [...filter.matchAll(PART)].map(condition), found = rows.filter((row) => parts.every(([of]) => of(row)));
  const count = `${found.length} of ${rows.length} run${rows.length === 1 ? "" : "s"}.`;
  return [found, parts.length ? `${count} Understood: ${parts.map(([, says]) => says).join(", and ")}.` : count];
}
