"use strict";
// Fonts and colours of the theme that the page is shown in, filled into figures before they are
// drawn: a colour "$name" is the style sheet's --name. Files that are saved are always light.

const LIGHT_SCALES = {
  "$sequential": [[0, "#b3c2d2"], [0.4, "#83acd1"], [0.7, "#2f7fc1"], [0.9, "#0a4a8c"], [1, "#062a57"]],
  "$sequential-low": [[0, "#f3f6f9"], [0.35, "#a9cbe3"], [0.7, "#3c88bd"], [1, "#08306b"]],
  "$diverging": [[0, "#b35806"], [0.25, "#f1a340"], [0.5, "#f7f7f7"], [0.75, "#67a9cf"], [1, "#01579b"]],
};
const DARK_SCALES = {
  "$sequential": [[0, "#323d4a"], [0.4, "#36648f"], [0.7, "#4f9fdb"], [0.9, "#9ad4ff"], [1, "#e3f4ff"]],
  "$sequential-low": [[0, "#1a222c"], [0.35, "#24507a"], [0.7, "#4f9fdb"], [1, "#d4ecff"]],
  "$diverging": [[0, "#ffb066"], [0.25, "#b3641b"], [0.5, "#222a34"], [0.75, "#2f7fb8"], [1, "#9ad4ff"]],
};
const LIGHT = {
  "$paper": "#ffffff", "$ink": "#1b2330", "$muted": "#5a6575", "$faint": "#8a94a3", "$grid": "#e3e7ec",
  "$line": "#d3d9e0", "$accent": "#0b62a4", "$better": "#0b62a4", "$worse": "#b8500a",
  "$arm-0": "#5b6470", "$arm-1": "#c07800", "$arm-2": "#0072b2", "$arm-3": "#00835d",
  "$arm-4": "#a8327d", "$arm-5": "#c44a00", "$arm-6": "#2a8fbd", "$arm-7": "#7a6400",
};
const dark = window.matchMedia("(prefers-color-scheme: dark)");
let onPaper = false;

function colours(forFile) {
  if (forFile || onPaper || !dark.matches) return { ...LIGHT, ...LIGHT_SCALES };
  const style = getComputedStyle(document.documentElement);
  const names = Object.keys(LIGHT).map((name) => [name, style.getPropertyValue(`--${name.slice(1)}`).trim()]);
  return { ...Object.fromEntries(names), ...DARK_SCALES };
}

function filled(value, found) {
  if (typeof value === "string") return value[0] === "$" && value in found ? found[value] : value;
  if (Array.isArray(value)) return value.map((item) => filled(item, found));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, found)]));
}

function axis(own, found) {
  const base = {
    gridcolor: found["$grid"], linecolor: found["$line"], zerolinecolor: found["$faint"],
    automargin: true, ticks: "", fixedrange: false,
  };
  const title = { standoff: 8, font: { size: 13, color: found["$muted"] }, ...(own?.title ?? {}) };
  return { ...base, ...own, title };
}

// Returns what plotly draws, from a view as the page's data has it.
function themed(view, { forFile = false } = {}) {
  const found = colours(forFile);
  const layout = filled(view.layout ?? {}, found);
  const coarse = window.matchMedia("(pointer: coarse)").matches;
  const base = {
    paper_bgcolor: found["$paper"], plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif", size: 13, color: found["$ink"] },
    margin: { l: 52, r: 14, t: 14, b: 46 }, hovermode: "closest", dragmode: coarse ? false : "zoom",
    hoverlabel: { font: { size: 13 } },
    legend: { orientation: "h", x: 0, xanchor: "left", y: 1.02, yanchor: "bottom", font: { size: 12.5 } },
    ...layout,
  };
  base.xaxis = axis(layout.xaxis, found);
  base.yaxis = axis(layout.yaxis, found);
  return { data: filled(view.data, found), layout: base };
}
