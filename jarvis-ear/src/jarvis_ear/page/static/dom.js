// The few words in which the other files speak of the document.

export const $ = (id) => document.getElementById(id);

/** Make an element: its name, what it has, and what is in it. Text is only ever text. */
export function make(name, has = {}, ...inside) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(has)) {
    if (key === "class") element.className = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...inside.filter((one) => one !== null && one !== undefined));
  return element;
}

/** Write text where it has changed, so that a screen reader hears changes only. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Say how things stand: on the page, and in the title of its tab. */
export function writeState(text) {
  write($("state"), text);
  const title = `${text} · Jarvis ${$("agent").textContent}`.trimEnd();
  if (document.title !== title) document.title = title;
}

/** Show no sound: nothing comes in. */
export function showNoSound() {
  for (const id of ["level", "speech", "score"]) write($(id), "–");
  $("score").classList.remove("hit");
  $("orb").style.setProperty("--loud", "0");
}

/** Show what belongs to the ear's console, or to the backend's. */
export function showFor(kind) {
  for (const element of document.querySelectorAll("[data-for]")) {
    element.hidden = element.dataset.for !== kind;
  }
}

/** Ask for what opens the page, and show nothing else meanwhile. */
export function lock(isLocked) {
  document.body.toggleAttribute("data-locked", isLocked);
  $("gate").hidden = !isLocked;
  if (isLocked) $("gate-secret").focus();
}

export const spaced = (word) => String(word ?? "").replaceAll("_", " ");

export function seconds(ms) {
  if (Math.abs(ms) < 1000) return `${Math.round(ms)} ms`;
  return `${(ms / 1000).toFixed(Math.abs(ms) < 10_000 ? 2 : 1)} s`;
}

export function lasting(s) {
  if (s < 60) return `${Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

export const clock = (epoch) =>
  new Date(epoch * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
