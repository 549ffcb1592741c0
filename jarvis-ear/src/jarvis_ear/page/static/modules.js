// The switches of the modules on an event bus.

import { $, make } from "./dom.js";

const MODULES = { vision: "Vision", audio: "Audio", tactile: "Tactile", action: "Action" };

/** Make one for each, and return their boxes by module. `switched(module, enabled)` by a person. */
export function makeSwitches(switched) {
  const boxes = {};
  for (const module of Object.keys(MODULES)) {
    const box = make("input", { type: "checkbox", role: "switch", id: `module-${module}` });
    box.checked = true;
    box.disabled = true;
    box.addEventListener("change", () => switched(module, box.checked));
    boxes[module] = box;
  }
  const labels = Object.entries(MODULES).map(([module, name]) => make("label", { class: "switch" }, boxes[module], make("span", {}, name)));
  $("modules").replaceChildren(...labels);
  return boxes;
}
