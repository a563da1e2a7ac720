"use strict";
// What a click on a cell opens: the configuration of its model, and its curve. Every text is set as
// text, never as HTML.

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...children);
  return made;
}

function settingsTable(values) {
  const rows = Object.entries(values).map(([key, value]) =>
    element("tr", {}, element("th", { scope: "row" }, key), element("td", {}, value)));
  return element("table", {}, element("tbody", {}, ...rows));
}

function wholeConfiguration(config) {
  const parts = Object.entries(config).flatMap(([section, values]) => [element("h3", {}, section), settingsTable(values)]);
  return element("details", { class: "more" }, element("summary", {}, "The whole configuration"), ...parts);
}

function curveView(trial, task, epoch) {
  const colour = `$arm-${DATA.arms[trial.structure] ?? 0}`;
  const line = (name, y, width, dash) => ({
    type: "scatter", mode: "lines+markers", name, x: trial.epochs, y, marker: { size: 5, color: dash ? "$muted" : colour },
    line: { color: dash ? "$muted" : colour, width, ...(dash ? { dash } : {}) }, hovertemplate: "epoch %{x}: %{y:.1f}<extra></extra>",
  });
  const ofTask = trial.scores[task];
  const data = ofTask ? [line("this task", ofTask, 2.5), line("mean of the tasks", trial.average, 1.5, "dot")]
    : [line("mean of the tasks", trial.average, 2.5)];
  const at = trial.epochs.indexOf(epoch);
  if (at >= 0) {
    data.push({
      type: "scatter", mode: "markers", name: "chosen epoch", x: [epoch], y: [data[0].y[at]], hoverinfo: "skip",
      marker: { symbol: "circle-open", size: 15, color: "$ink", line: { width: 2 } },
    });
  }
  return { data, layout: { xaxis: { title: { text: "epoch" }, tickformat: "d", ...(trial.epochs.length <= 12 ? { dtick: 1 } : {}) }, yaxis: { title: { text: "dev score" } } } };
}

function baselineText(cell) {
  const text = cell.dataset.arm === "majority" ? "Always says the label that is most frequent in train."
    : "Logistic regression on TF-IDF of words.";
  return cell.dataset.c === undefined ? text : `${text} Regularisation C = ${cell.dataset.c}, chosen on dev.`;
}

function openDetails(cell) {
  const { arm, task, trial: id, epoch } = cell.dataset;
  const trial = id === undefined ? undefined : DATA.trials[id];
  const inside = element("div", { class: "inside" });
  const close = element("button", { type: "button", class: "close" }, "Close");
  close.addEventListener("click", () => dialogBox.close());
  const row = cell.closest("tr").querySelector("th").textContent.trim();
  inside.append(close, element("h2", { id: "details-title" }, `${arm} on ${row}`));
  const score = cell.querySelector("b")?.textContent;
  const ends = cell.querySelector("small")?.textContent;
  const said = [score && `${score}${ends ? ` (95% interval ${ends})` : ""}`, id && (cell.dataset.runs > 0 ? `${id}, ${cell.dataset.runs} runs` : `${id}, epoch ${epoch}`)].filter(Boolean);
  inside.append(element("p", { class: "small" }, said.join(" · ")));
  const plot = element("div", { class: "plot" });
  if (trial) {
    inside.append(plot, element("h3", {}, "Searched settings"));
    const facts = { ...trial.values, seed: trial.seed, "proposed by": trial.source, "ended as": trial.state };
    inside.append(settingsTable(facts), wholeConfiguration(trial.config));
  } else {
    inside.append(element("p", {}, baselineText(cell)));
  }
  dialogBox.replaceChildren(inside);
  dialogBox.showModal();
  inside.parentElement.scrollTop = 0;
  if (trial && window.Plotly) {
    const { data, layout } = themed(curveView(trial, task, Number(epoch)));
    Plotly.newPlot(plot, data, layout, PLOT);
  }
}

function watchCells() {
  document.addEventListener("click", (event) => {
    const cell = event.target.closest("button.cell, button.link[data-trial]");
    if (cell) openDetails(cell);
  });
  dialogBox.addEventListener("click", (event) => { if (event.target === dialogBox) dialogBox.close(); });
}

const dialogBox = document.getElementById("details");
