"use strict";
// Figures are drawn when they come near the screen, anew when the theme changes, and all of them
// before the page is printed.

const PLOT = { displayModeBar: false, responsive: true, displaylogo: false };
const PAPER_WIDTH = 660; // of A4 and letter between the margins
const shownView = new Map(); // figure -> which of its views
const drawnPlots = new Set();

function drawFigure(plot) {
  const name = plot.dataset.figure;
  const view = DATA.figures[name].views[shownView.get(name) ?? 0];
  const { data, layout } = themed(view);
  if (onPaper) layout.width = plot.closest(".slices") ? PAPER_WIDTH / 2 - 12 : PAPER_WIDTH;
  drawnPlots.add(plot);
  Plotly.react(plot, data, layout, PLOT);
  if (data[0]?.type === "parcoords" && !plot.dataset.brushes) {
    plot.dataset.brushes = "yes";
    plot.on("plotly_restyle", () => tellBrushed(plot));
  }
}

function drawAll() {
  document.querySelectorAll(".plot[data-figure]").forEach(drawFigure);
}

function redrawAll() {
  drawnPlots.forEach((plot) => (plot.isConnected && plot.dataset.figure ? drawFigure(plot) : drawnPlots.delete(plot)));
}

function inRanges(value, ranges) {
  const all = Array.isArray(ranges[0]) ? ranges : [ranges];
  return all.some(([low, high]) => low <= value && value <= high);
}

// Says how many trials the brushed axes of the parallel coordinates leave, and what they reach.
function tellBrushed(plot) {
  const dimensions = plot.data[0].dimensions;
  const brushed = dimensions.filter((dimension) => dimension.constraintrange?.length);
  const scores = dimensions.at(-1).values;
  const kept = scores.filter((_, row) =>
    brushed.every((dimension) => inRanges(dimension.values[row], dimension.constraintrange)));
  const known = kept.filter((score) => score !== null);
  const mean = known.reduce((sum, score) => sum + score, 0) / known.length;
  const said = `${kept.length} of ${scores.length} trials are left`;
  document.getElementById("brushed").textContent = !brushed.length ? ""
    : known.length ? `${said}: dev mean ${mean.toFixed(1)}, best ${Math.max(...known).toFixed(1)}.` : `${said}.`;
}

function drawLegends() {
  const names = { circle: "●", square: "■", diamond: "◆", "triangle-up": "▲", x: "✕", star: "★", "triangle-down": "▼", pentagon: "⬟" };
  document.querySelectorAll("svg[data-symbol]").forEach((svg) => {
    const text = document.createElementNS("http://www.w3.org/2000/svg", "text");
    text.setAttribute("x", "7");
    text.setAttribute("y", "12");
    text.setAttribute("text-anchor", "middle");
    text.setAttribute("font-size", "13");
    text.setAttribute("fill", "currentColor");
    text.textContent = names[svg.dataset.symbol] ?? "●";
    svg.append(text);
  });
}

function watchFigures() {
  const watcher = new IntersectionObserver((entries) => {
    entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
      watcher.unobserve(entry.target);
      drawFigure(entry.target);
    });
  }, { rootMargin: "500px" });
  document.querySelectorAll(".plot[data-figure]").forEach((plot) => watcher.observe(plot));
  document.querySelectorAll("select[data-views]").forEach((select) => {
    select.value = "0"; // a browser may have kept another
    select.addEventListener("change", () => {
      shownView.set(select.dataset.views, Number(select.value));
      drawFigure(document.querySelector(`[data-figure="${select.dataset.views}"]`));
    });
  });
  dark.addEventListener("change", redrawAll);
  window.addEventListener("beforeprint", () => { onPaper = true; drawAll(); });
  window.addEventListener("afterprint", () => { onPaper = false; redrawAll(); });
}
