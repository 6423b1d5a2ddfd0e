// The address: what was changed since the page opened stands behind its #, so that it can be shared and Back works.
function chosen() {
  const { problem, method, step, momentum, t } = state, { sorted, down } = table;
  const values = problem && {
    problem: data.problems.indexOf(problem), method: method.words, step: step.at, momentum: momentum.at, t: t ?? "",
    tolerance: byId("tolerance").value,
  };
  const names = table.columns.map((column) => columns[column]).join(",");
  const of = { show: byId("filter").value, sort: sorted === null ? "" : `${down ? "-" : ""}${columns[sorted]}` };
  return Object.fromEntries(Object.entries({ ...values, ...of, columns: names }).map(([k, v]) => [k, String(v)]));
}

const opened = chosen();

/** Renew the address in a while, as an entry of the history, or in place of the latest if that was just restored. */
function remember() {
  clearTimeout(remember.timer);
  remember.timer = setTimeout(() => {
    const changed = Object.entries(chosen()).filter(([name, value]) => value !== opened[name]);
    const hash = changed.length ? `#${new URLSearchParams(changed)}` : "";
    if (hash !== location.hash && (hash || location.hash.includes("=")))
      history[remember.restored ? "replaceState" : "pushState"](null, "", hash || "#");
    remember.restored = false;
  }, 300); // A slider that moves without a pause of so many milliseconds makes one entry.
}

/** Choose what the address says. What it does not say, or says wrongly, is as when the page opened. */
function restore() {
  if (location.hash && !location.hash.includes("=")) return; // A section.
  const said = { ...opened, ...Object.fromEntries(new URLSearchParams(location.hash.slice(1))) };
  const number = (name) => (Number.isFinite(Number(said[name] || "none")) ? Number(said[name]) : Number(opened[name]));
  if (state.problem) {
    const problem = data.problems[Number(said.problem)] ?? state.problem, tolerance = byId("tolerance");
    const method = methods.find(({ words }) => words === said.method) ?? state.method;
    const step = { at: number("step"), step: number("step") / problem.largest }, momentum = { at: number("momentum") };
    tolerance.value = said.tolerance;
    if (!tolerance.value) tolerance.value = opened.tolerance;
    change({ problem, method, step, momentum });
    change({ step, momentum, t: said.t && number("t") >= 0 ? Math.round(number("t")) : null });
  }
  const sorted = columns.indexOf(said.sort.replace(/^-/, ""));
  Object.assign(table, { sorted: sorted < 0 ? null : sorted, down: said.sort.startsWith("-") });
  byId("filter").value = said.show;
  choose(said.columns.split(",").map((name) => columns.indexOf(name)));
  remember.restored = true;
}

for (const link of document.querySelectorAll("nav a"))
  link.onclick = (event) => {
    // The address stays as it is.
    event.preventDefault();
    const section = document.querySelector(link.hash);
    Object.assign(section, { tabIndex: -1 }).focus({ preventScroll: true });
    section.scrollIntoView();
  };
window.onpopstate = restore;
if (location.hash.includes("=")) restore();
