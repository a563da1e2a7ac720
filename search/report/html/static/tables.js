"use strict";
// Tables: sorted by a click on a head, saved as CSV. A cell's `data-value` is what counts.

function sortValue(cell) {
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  const text = cell.textContent.trim();
  const number = Number(text.replace(/,/g, "").replace("−", "-"));
  return text !== "" && Number.isFinite(number) ? number : text;
}

const inOrder = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });

// Numbers before texts; what has no value ("–") stays at the end in either direction.
function compareValues(a, b, sign) {
  const [noA, noB] = [a === "–" || a === "", b === "–" || b === ""];
  if (noA || noB) return noA - noB;
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  if (typeof a === typeof b) return sign * inOrder.compare(a, b);
  return typeof a === "number" ? -1 : 1;
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const head = heads[column];
  const numeric = head.classList.contains("number");
  const first = numeric ? "descending" : "ascending";
  const other = numeric ? "ascending" : "descending";
  const direction = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const sign = direction === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].map((row, at) => ({ row, at, value: sortValue(row.cells[column]) }));
  rows.sort((a, b) => compareValues(a.value, b.value, sign) || a.at - b.at);
  body.append(...rows.map((one) => one.row));
}

function makeSortable(table) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, column));
  });
}

function csvLine(values) {
  const cells = values.map((value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text;
  });
  return cells.join(",");
}

// A column with intervals becomes three: the value, and both ends.
function tableAsCsv(table) {
  const bodyRows = [...table.querySelectorAll("tbody tr, tfoot tr")];
  const heads = [...table.tHead.rows[0].cells];
  const wide = heads.map((_, at) => bodyRows.some((row) => row.cells[at]?.dataset.low !== undefined));
  const names = heads.flatMap((head, at) => {
    const name = head.textContent.trim();
    return wide[at] ? [name, `${name} low`, `${name} high`] : [name];
  });
  const lines = bodyRows.map((row) =>
    csvLine([...row.cells].flatMap((cell, at) => {
      const value = cell.dataset.value ?? cell.textContent.trim().replace(/^–$/, "");
      return wide[at] ? [value, cell.dataset.low, cell.dataset.high] : [value];
    })));
  return [csvLine(names), ...lines].join("\r\n") + "\r\n";
}
