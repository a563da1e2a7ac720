"use strict";
// Files that a reader saves: figures as SVG and PNG, their numbers as CSV.

function download(name, address) {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

function downloadText(name, text, type) {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  download(name, address);
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function fileName(name, ending) {
  const study = DATA.study.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, 60);
  return `${study}-${name}.${ending}`;
}

// Texts in figures are escaped for plotly; a file has them as they are.
function unescaped(value) {
  if (typeof value !== "string") return value;
  return value.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
}

// Returns what stands at a place of an axis whose ticks are texts, else the place itself.
function tickText(axis, value) {
  const at = axis?.tickvals && axis.ticktext ? axis.tickvals.indexOf(Math.round(value)) : -1;
  return unescaped(at < 0 || value === null ? value : axis.ticktext[at]);
}

function heatRows(trace, columns) {
  const heads = [columns.y ?? "row", columns.x ?? "column", columns.z ?? "value"];
  const rows = trace.z.flatMap((line, i) =>
    line.map((value, j) => [...(trace.customdata?.[i]?.[j] ?? [i, j]).map(unescaped), value]));
  return [heads, ...rows];
}

function pointRows(view, columns) {
  const bars = ["x", "y"].filter((side) => view.data.some((trace) => trace[`error_${side}`]));
  const extra = bars.flatMap((side) => [`${columns[side] ?? side} low`, `${columns[side] ?? side} high`]);
  const rows = view.data.flatMap((trace) =>
    (trace.x ?? []).map((x, at) => {
      const y = trace.y[at];
      if (x === null && y === null) return null;
      const ends = bars.flatMap((side) => {
        const of = trace[`error_${side}`];
        const value = side === "x" ? x : y;
        if (!of || value === null) return ["", ""];
        return [value - (of.arrayminus ?? of.array)[at], value + of.array[at]].map((end) => +end.toFixed(4));
      });
      const text = Array.isArray(trace.text) ? unescaped(trace.text[at]) : "";
      const places = [tickText(view.layout?.xaxis, x), tickText(view.layout?.yaxis, y)];
      if (trace.customdata) places[0] = trace.customdata[at]; // where the trace stands a bit aside
      return [unescaped(trace.name ?? ""), ...places, ...ends, text];
    }).filter(Boolean));
  return [["series", columns.x ?? "x", columns.y ?? "y", ...extra, "label"], ...rows];
}

function figureAsCsv({ columns, table }, view) {
  const ofTraces = view.data[0].type === "heatmap" ? heatRows(view.data[0], columns) : pointRows(view, columns);
  const rows = table.length ? table : ofTraces;
  return rows.map(csvLine).join("\r\n") + "\r\n";
}

async function saveFigure(name, kind, shown) {
  const figure = DATA.figures[name];
  const view = figure.views[shown];
  if (kind === "csv") return downloadText(fileName(name, "csv"), figureAsCsv(figure, view), "text/csv");
  const drawn = themed(view, { forFile: true });
  drawn.layout.title = { text: figure.title, x: 0.02, xanchor: "left", font: { size: 15 } };
  drawn.layout.margin = { ...drawn.layout.margin, t: (drawn.layout.margin.t ?? 14) + 60 };
  const width = Math.max(900, document.querySelector(`[data-figure="${name}"]`).clientWidth);
  const size = { width, height: figure.height + 60, scale: kind === "png" ? 2 : 1 };
  return download(fileName(name, kind), await Plotly.toImage(drawn, { format: kind, ...size }));
}

function savePicture(name, kind) {
  if (kind === "csv") return downloadText(fileName(name, "csv"), tableAsCsv(document.getElementById(`table-${name}`)), "text/csv");
  const svg = document.querySelector(`#figure-${name} svg`).cloneNode(true);
  svg.style.color = "#111";
  svg.style.background = "#fff";
  const text = new XMLSerializer().serializeToString(svg);
  if (kind === "svg") return downloadText(fileName(name, "svg"), text, "image/svg+xml");
  const image = new Image();
  image.onload = () => {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * image.width, 2 * image.height];
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    download(fileName(name, "png"), canvas.toDataURL("image/png"));
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
  return undefined;
}
