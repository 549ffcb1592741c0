// The page: who serves it, which keys do what, and which of the two consoles it is.

import { startBackend } from "./backend.js";
import { $, showFor, write } from "./dom.js";
import { startEar } from "./ear.js";
import { Timeline } from "./timeline.js";
import { legend } from "./turns.js";

listenForKeys();
describeItself();
begin();

async function begin() {
  const timeline = new Timeline($("timeline"));
  setInterval(() => $("timeline").setAttribute("aria-label", timeline.describe()), 2000);
  const kind = await whoServes();
  showFor(kind.kind);
  $("stages").append(...legend(kind.kind));
  document.body.dataset.kind = kind.kind;
  if (kind.kind === "ear") startEar(timeline);
  else startBackend(timeline, kind);
}

async function whoServes() {
  for (;;) {
    try {
      return await (await fetch("/console/kind.json", { cache: "no-store" })).json();
    } catch {
      banner("The server of this page does not answer. Trying again.");
      await new Promise((go) => setTimeout(go, 1000));
    }
  }
}

function banner(text) {
  write($("banner"), text);
  $("banner").hidden = false;
}

function listenForKeys() {
  const keys = { m: "mute", l: "listen", s: "stop", t: "talk", "?": "keys-open" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.target.matches("input:not([type=checkbox]), textarea, select") || $("keys").open) return;
    const button = $(keys[event.key.toLowerCase()]);
    if (!button || button.hidden || button.disabled) return;
    event.preventDefault();
    button.click();
  });
}

function describeItself() {
  $("keys-open").addEventListener("click", () => $("keys").showModal());
  $("keys").addEventListener("click", (event) => event.target === $("keys") && $("keys").close());
}

