// The conversation: what was understood, and what was answered. Newest last, as in a letter.

import { make } from "./dom.js";

const SHOWN = 12;
const NEAR = 40; // pixels: less than a line is missing

/** Show turns, oldest first: {id, said, partial, reply, note, play}. Only what changed is touched. */
export class Words {
  constructor(list, empty) {
    this.list = list;
    this.empty = empty;
    this.shown = new Map();
  }

  show(turns) {
    const wanted = turns.slice(-SHOWN);
    const isAtEnd = this.shown.size === 0 || this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR;
    const kept = new Set(wanted.map((turn) => turn.id));
    for (const [id, entry] of this.shown) {
      if (!kept.has(id)) {
        entry.item.remove();
        this.shown.delete(id);
      }
    }
    for (const turn of wanted) this.entry(turn.id).update(turn);
    this.empty.hidden = this.shown.size > 0;
    if (isAtEnd) this.list.scrollTop = this.list.scrollHeight; // who has scrolled back reads on there
  }

  entry(id) {
    if (!this.shown.has(id)) {
      const entry = new Entry();
      this.shown.set(id, entry);
      this.list.append(entry.item);
    }
    return this.shown.get(id);
  }
}

class Entry {
  constructor() {
    this.said = make("p", { class: "said" });
    this.reply = make("p", { class: "reply" });
    this.note = make("p", { class: "note" });
    this.play = make("button", { type: "button", class: "play" }, "Play the reply");
    this.item = make("li", {}, this.said, this.reply, this.play, this.note);
    this.play.hidden = true;
    this.play.addEventListener("click", () => this.onplay?.());
  }

  update({ said, partial, reply, note, play, playing }) {
    set(this.said, said);
    this.said.classList.toggle("partial", Boolean(partial));
    set(this.reply, reply);
    set(this.note, note);
    this.onplay = play;
    this.play.hidden = !play;
    const label = playing ? "Playing" : "Play the reply";
    if (this.play.textContent !== label) this.play.textContent = label;
  }
}

function set(element, text) {
  element.hidden = !text;
  if (element.textContent !== (text ?? "")) element.textContent = text ?? "";
}
