"use strict";
// Two frames take turns: the next report is loaded out of sight, scrolled to where the reader is,
// and shown when it is ready, so that nothing flickers.

const PAUSE = 3000;
let shown = null; // the version of the report that is on the screen
let loading = false; // another one is on its way; asking again would break that off

function tell(state) {
  document.title = `${state.name} – branchpoint`;
  document.getElementById("name").textContent = state.name;
  document.getElementById("state").textContent = state.words;
  const link = document.getElementById("dashboard");
  link.hidden = !state.dashboard;
  if (state.dashboard) link.href = state.dashboard;
}

function turn(state) {
  loading = true;
  const [now, next] = [true, false].map(
    (is) => [...document.querySelectorAll("iframe")].find((f) => f.classList.contains("shown") === is));
  next.onload = () => {
    loading = false;
    const at = now.contentWindow?.scrollY ?? 0;
    now.classList.remove("shown");
    next.classList.add("shown");
    next.contentWindow.scrollTo(0, at);
    shown = state.version;
    document.getElementById("made").textContent = `as of ${new Date().toLocaleTimeString()}`;
  };
  next.src = `report.html?version=${encodeURIComponent(state.version)}`;
}

async function look() {
  try {
    const answer = await fetch("state.json", { cache: "no-store" });
    if (answer.ok) {
      const state = await answer.json();
      tell(state);
      if (state.version !== null && state.version !== shown && !loading) turn(state);
    } else {
      document.getElementById("state").textContent = await answer.text(); // what is wrong with the study
    }
  } catch {
    document.getElementById("state").textContent = "branchpoint watch has ended; this is its last report";
  }
  setTimeout(look, PAUSE);
}

look();
