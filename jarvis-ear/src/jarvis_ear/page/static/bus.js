// The event bus of the backend: module switches, and what is said on it.

import { $, make, write } from "./dom.js";
import { makeSwitches } from "./modules.js";

const SHOWN = 20;

export class Bus {
  constructor(address, token) {
    this.address = address;
    this.token = token;
    this.boxes = {};
  }

  begin() {
    this.boxes = makeSwitches((module, enabled) => this.socket.send(JSON.stringify({ type: "module_control", module, enabled })));
    $("modules-card").hidden = false;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(this.address, [this.token]);
    this.socket = socket;
    socket.addEventListener("open", () => this.usable(true, "A switch is announced to all members of the bus. Audio is the microphone of the ears on it."));
    socket.addEventListener("message", (event) => this.hear(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      this.usable(false, "The bus is away. Trying again.");
      setTimeout(() => this.connect(), 2000);
    });
  }

  usable(isUp, note) {
    for (const box of Object.values(this.boxes)) box.disabled = !isUp;
    write($("modules-note"), note);
  }

  /** Show how the modules are, as the backend knows it. */
  show(modules) {
    for (const [module, enabled] of Object.entries(modules)) {
      if (module in this.boxes) this.boxes[module].checked = enabled;
    }
  }

  hear(message) {
    if (message.error) {
      this.usable(!/sign/i.test(message.error), /sign/i.test(message.error) ? "This bus accepts only signed messages, and a browser has no key." : message.error);
      return;
    }
    if (message.type === "module_status_changed" && message.data?.module in this.boxes) {
      this.boxes[message.data.module].checked = message.data.enabled;
    }
    if (message.type !== "pong") this.tell(message);
  }

  tell({ type, data }) {
    const events = $("events");
    events.prepend(make("li", {}, make("span", { class: "dim" }, new Date().toLocaleTimeString()), ` ${type} `, make("code", {}, JSON.stringify(data ?? {}).slice(0, 200))));
    while (events.childElementCount > SHOWN) events.lastElementChild.remove();
  }
}
