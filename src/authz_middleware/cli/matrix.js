"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const table = document.getElementById("matrix");
const rows = [...table.tBodies[0].rows];
const cells = rows.map((row) => [...row.querySelectorAll("td.c")]);
const byId = (id) => document.getElementById(id);
let chosen = null;

function place(cell) {
  const row = rows.indexOf(cell.parentElement);
  return [row, cells[row].indexOf(cell)];
}

function focusOn(cell) {
  table.querySelector('td[tabindex="0"]')?.setAttribute("tabindex", "-1");
  cell.setAttribute("tabindex", "0");
  cell.focus();
}

function explain(cell) {
  const [row, column] = place(cell);
  const found = data.rows[row];
  const may = cell.dataset.may;
  const why = data.whys[found.cells[column]];
  chosen?.classList.remove("chosen");
  chosen = cell;
  cell.classList.add("chosen");
  byId("what").textContent = `${data.columns[column]}: ${found.methods} ${found.route}`;
  byId("answer").textContent =
    may === "yes" ? "yes" : may === "if" ? `yes, if ${why}` : `no${why ? ": " + why : ""}`;
  const items = found.rules.map((rule) => `by ${rule}`);
  items.push(`for example ${found.example}`, ...found.together.map((who) => `together: ${who}`));
  byId("rules").replaceChildren(
    ...items.map((text) => Object.assign(document.createElement("li"), { textContent: text })),
  );
  byId("why").hidden = false;
}

function close() {
  byId("why").hidden = true;
  chosen?.classList.remove("chosen");
  chosen?.focus();
  chosen = null;
}

function filter() {
  const text = byId("search").value.trim().toLowerCase();
  const caller = byId("caller").value;
  const may = byId("may").value;
  let count = 0;
  rows.forEach((row, number) => {
    const found = data.rows[number];
    const said = `${found.methods} ${found.route} ${found.rules.join(" ")}`.toLowerCase();
    const few = caller === "" ? cells[number] : [cells[number][Number(caller)]];
    row.hidden = !said.includes(text) || !(may === "" || few.some((c) => c.dataset.may === may));
    count += row.hidden ? 0 : 1;
  });
  table.querySelectorAll("[data-column]").forEach((cell) => {
    cell.hidden = caller !== "" && cell.dataset.column !== caller;
  });
  byId("count").textContent = `${count} of ${rows.length} rows`;
}

const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
table.addEventListener("keydown", (event) => {
  const cell = event.target.closest("td.c");
  if (!cell) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    explain(cell);
  } else if (steps[event.key]) {
    event.preventDefault();
    let [row, column] = place(cell);
    const [down, right] = steps[event.key];
    do {
      row += down;
      column += right;
    } while (cells[row]?.[column] && (rows[row].hidden || cells[row][column].hidden));
    if (cells[row]?.[column]) focusOn(cells[row][column]);
  }
});
table.addEventListener("click", (event) => {
  const cell = event.target.closest("td.c");
  if (cell) {
    focusOn(cell);
    explain(cell);
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !byId("why").hidden) close();
});
byId("close").addEventListener("click", close);
byId("filters").addEventListener("submit", (event) => event.preventDefault());
byId("filters").addEventListener("input", filter);
byId("filters").hidden = false;
cells[0]?.[0]?.setAttribute("tabindex", "0");
filter();
