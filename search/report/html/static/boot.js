"use strict";
// Starts the page: tables at once, then plotly, which is unpacked here, and the figures.

const DATA = JSON.parse(document.getElementById("page-data").textContent);

async function unpackPlotly() {
  const packed = atob(document.getElementById("page-plotly").textContent.trim());
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at += 1) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(stream).text();
  document.head.append(script);
}

// Folded on a narrow page; also when it becomes one later, or wide, as one does that was loaded in a
// frame out of sight, which has no width.
function foldContents() {
  const narrow = window.matchMedia("(max-width: 62rem)");
  const fold = () => { document.querySelector(".contents details").open = !narrow.matches; };
  narrow.addEventListener("change", fold);
  fold();
}

function watchSaves() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-save], [data-csv]");
    if (!button) return;
    const { save, csv } = button.dataset;
    const { for: name, picture } = button.parentElement.dataset;
    if (csv) downloadText(fileName(csv, "csv"), tableAsCsv(document.getElementById(`table-${csv}`)), "text/csv");
    else if (picture) savePicture(picture, save);
    else saveFigure(name, save, shownView.get(name) ?? 0);
  });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
foldContents();
watchCells();
watchSaves();
drawLegends();
unpackPlotly().then(watchFigures, () => {
  document.querySelectorAll(".plot[data-figure]").forEach((plot) => {
    plot.dataset.why = "This browser is too old to draw figures; their numbers can be saved as CSV.";
    plot.classList.add("failed");
  });
}).finally(() => document.documentElement.setAttribute("data-ready", "yes"));
