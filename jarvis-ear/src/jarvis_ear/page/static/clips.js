// The clips that the owner keeps of wake words and near misses: a list, each with a play button.

import { $, clock, make, write } from "./dom.js";

const SHOWN = 12;
const AFTER_MS = 2500; // a clip ends a second after the score, and is written then

export class Clips {
  constructor(token) {
    this.headers = { Authorization: `Bearer ${token}` };
    this.playing = null;
  }

  /** Ask for the list again, once what has just happened is written. */
  lookSoon() {
    clearTimeout(this.due);
    this.due = setTimeout(() => this.look(), AFTER_MS);
  }

  async look() {
    const answer = await fetch("/console/clips", { headers: this.headers }).catch(() => null);
    if (!answer?.ok) return;
    const { events, error } = await answer.json();
    const isKept = events.length > 0 || error;
    $("clips-card").hidden = !isKept;
    if (isKept) this.show(events, error);
  }

  show(events, error) {
    $("clips").replaceChildren(...events.slice(-SHOWN).reverse().map((clip) => this.row(clip)));
    write($("clips-note"), error ?? "");
  }

  row(clip) {
    const what = clip.kind === "wake" ? "woke" : "near miss";
    const when = clock(Date.parse(clip.time) / 1000);
    const name = `${what} at ${when}, score ${clip.score.toFixed(2)}`;
    const button = make("button", { type: "button", class: "play", "aria-label": `Play: ${name}` }, "Play");
    button.addEventListener("click", () => this.play(clip.id, button));
    return make("li", {}, button, make("span", {}, what), make("span", { class: "dim" }, `${when}, score ${clip.score.toFixed(2)} of ${clip.threshold}`));
  }

  /** Play a clip on this computer, or end it. */
  async play(id, button) {
    const ended = this.playing?.id;
    this.playing?.source.stop();
    if (ended === id) return;
    const answer = await fetch(`/console/clips/${id}`, { headers: this.headers }).catch(() => null);
    if (!answer?.ok) return write($("clips-note"), `That clip cannot be played: ${answer ? await answer.text() : "the console does not answer"}`);
    this.audio ??= new AudioContext();
    const source = this.audio.createBufferSource();
    source.buffer = await this.audio.decodeAudioData(await answer.arrayBuffer());
    source.connect(this.audio.destination);
    this.playing = { id, source };
    button.textContent = "Stop";
    source.addEventListener("ended", () => {
      button.textContent = "Play";
      if (this.playing?.source === source) this.playing = null;
    });
    source.start();
  }
}
