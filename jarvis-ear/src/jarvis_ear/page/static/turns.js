// The last turns: what was said, what became of it, and where its time went.

import { clock, make, seconds, spaced } from "./dom.js";

/** Every stage and what led to it, in order. */
const STAGES = [
  ["began", "began", null],
  ["wake", "wake word", null],
  ["end_of_speech", "end of speech", "you speak"],
  ["captured", "sentence over", "waits for the end"],
  ["sent", "sent", "waits for the backend"],
  ["processing", "taken", "upload"],
  ["transcript", "understood", "understanding"],
  ["response", "answered", "answering"],
  ["first_audio", "first sound", "voice"],
  ["done", "done", "speaks"],
];

const FINE = new Set(["done", "kept", ""]);
const HARMLESS = new Set(["dropped", "abandoned"]);

/** What the colours mean. The wire of an ear does not say when the answer was there. */
export function legend(kind) {
  const stages = STAGES.filter(([key, , leads]) => leads && (kind === "backend" || key !== "response"));
  return stages.map(([key, , leads]) => make("li", { class: `seg-${key}` }, key === "first_audio" && kind === "ear" ? "answering" : leads));
}

/** Show the turns, newest first. Lists are short, so they are made anew; open ones stay open. */
export function showTurns(list, turns) {
  const open = new Set([...list.querySelectorAll("details[open]")].map((one) => one.dataset.turn));
  const focused = document.activeElement?.closest?.("details[data-turn]")?.dataset.turn;
  const longest = Math.max(2000, ...turns.map(length));
  list.replaceChildren(...turns.map((turn) => waterfall(turn, longest, open.has(turn.id))));
  if (focused) list.querySelector(`details[data-turn="${CSS.escape(focused)}"] summary`)?.focus();
}

export function title(turn) {
  if (turn.transcript) return `“${turn.transcript}”`;
  if (turn.characters !== undefined) return `${turn.characters} characters`;
  if (turn.name) return turn.name; // nothing of it was understood yet
  return turn.score === null ? "speech after a reply" : "wake word";
}

const HEARD = { none: "nothing heard", part: "heard in part", interrupted: "interrupted" };

/** How much of the reply was not heard, and why; empty: all of it was heard, or it is not over. */
export function unheard(turn) {
  if (!turn.heard || turn.heard === "all") return "";
  const why = turn.heard_reason && turn.heard_reason !== turn.heard ? `: ${spaced(turn.heard_reason)}` : "";
  return `${HEARD[turn.heard] ?? turn.heard}${why}`;
}

function reached(turn) {
  return STAGES.filter(([key]) => key in turn.stages_ms);
}

function length(turn) {
  const times = Object.values(turn.stages_ms);
  return times.length ? Math.max(...times) - Math.min(...times) : 0;
}

function waterfall(turn, longest, isOpen) {
  const details = make("details", { "data-turn": turn.id });
  details.open = isOpen;
  details.append(
    make("summary", {},
      make("span", { class: "title" }, title(turn)),
      outcome(turn),
      make("span", { class: "dim when" }, clock(turn.began_at)),
      bar(turn, longest),
      make("span", { class: "dim answer" }, verdict(turn))),
    table(turn));
  return make("li", {}, details);
}

function outcome(turn) {
  const kind = turn.outcome === "" ? "open" : FINE.has(turn.outcome) ? "good" : HARMLESS.has(turn.outcome) ? "plain" : "bad";
  return make("span", { class: `chip ${kind}` }, turn.outcome === "" ? "under way" : spaced(turn.outcome));
}

function verdict(turn) {
  const first = turn.stages_ms.first_audio;
  const missed = turn.outcome === "done" ? unheard(turn) : ""; // else the verdict says it
  if (first === undefined || turn.heard === "none") return missed || spaced(turn.cause);
  return `${seconds(first)} from your last word to the first sound${missed ? `, ${missed}` : ""}`;
}

function bar(turn, longest) {
  const segments = [];
  let before = null;
  for (const [key] of reached(turn)) {
    const at = turn.stages_ms[key];
    if (before !== null && at > before) {
      const failed = key === "done" && turn.outcome !== "done"; // nothing was spoken then
      const segment = make("i", { class: failed ? "seg-nothing" : `seg-${key}` });
      segment.style.width = `${((at - before) / longest) * 100}%`;
      segments.push(segment);
    }
    before = before === null ? at : Math.max(before, at);
  }
  return make("span", { class: "bar", "aria-hidden": "true" }, ...segments);
}

function table(turn) {
  const rows = reached(turn).map(([key, name]) =>
    make("div", {}, make("dt", {}, make("i", { class: `dot seg-${key}`, "aria-hidden": "true" }), name), make("dd", {}, seconds(turn.stages_ms[key]))));
  const more = [
    ["score", turn.score], ["speech", turn.speech_s && seconds(turn.speech_s * 1000)],
    ["asked", turn.provider], ["pieces of reply", turn.chunks || null], ["turn", turn.id], ["cause", spaced(turn.cause)],
    ["heard", unheard(turn) || turn.heard],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "" && value !== 0);
  const facts = more.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, String(value))));
  return make("dl", { class: "facts fine" }, ...rows, ...facts);
}
