// The tuning panel: tries a threshold and a hangover on the sound that is shown, and stores them.

import { $, lasting, write } from "./dom.js";

const REFRACTORY_MS = 1500; // the default of hearing.wake.refractory_ms
const GAP_MS = 400; // longer without a sample: sound is missing, and nothing is known of it
const REDRAWN_MS = 500;

/** How often the wake word would have been detected: from the threshold on, once until the score falls. */
export function wakes(samples, threshold) {
  const found = [];
  let isOver = false;
  for (const { at, score } of samples) {
    const reaches = score >= threshold;
    if (reaches && !isOver && at - (found.at(-1) ?? -Infinity) >= REFRACTORY_MS) found.push(at);
    isOver = reaches;
  }
  return found;
}

/** The pauses between stretches of speech, in milliseconds; one with a gap in it is none. */
export function pauses(samples) {
  const found = [];
  let last = null; // the end of the last speech
  let before = null;
  for (const { at, speech } of samples) {
    if (before !== null && at - before > GAP_MS) last = null;
    before = at;
    if (!speech) continue;
    if (last !== null && at - last > 40) found.push(at - last);
    last = at;
  }
  return found;
}

/** The panel below the picture of the sound. `order` sends a command, and answers. */
export class Tuning {
  constructor(timeline, order) {
    this.timeline = timeline;
    this.order = order;
    this.current = { threshold: null, hangover_ms: null };
    for (const id of ["tune-threshold", "tune-hangover"]) $(id).addEventListener("input", () => this.draw());
    $("tune").addEventListener("toggle", () => this.reset());
    $("tune-store").addEventListener("click", () => this.store());
    $("tune-default").addEventListener("click", () => this.send("tune default", "The configured values are in force again."));
    setInterval(() => $("tune").open && this.draw(), REDRAWN_MS);
  }

  /** Take what is in force; a person who is trying something is not disturbed. */
  show(threshold, hangoverMs) {
    const isNew = threshold !== this.current.threshold || hangoverMs !== this.current.hangover_ms;
    this.current = { threshold, hangover_ms: hangoverMs };
    if (isNew) this.reset();
  }

  reset() {
    const { threshold, hangover_ms: hangoverMs } = this.current;
    if (threshold !== null) $("tune-threshold").value = threshold;
    if (hangoverMs !== null) $("tune-hangover").value = hangoverMs;
    this.draw();
  }

  get tried() {
    return { threshold: Number($("tune-threshold").value), hangover_ms: Number($("tune-hangover").value) };
  }

  get changed() {
    return Object.entries(this.tried).filter(([name, value]) => value !== this.current[name]);
  }

  draw() {
    const { threshold, hangover_ms: hangoverMs } = this.tried;
    const { samples } = this.timeline;
    this.timeline.candidate = $("tune").open && threshold !== this.current.threshold ? threshold : null;
    write($("tune-threshold-value"), threshold.toFixed(2));
    write($("tune-hangover-value"), `${hangoverMs} ms`);
    $("tune-threshold").setAttribute("aria-valuetext", threshold.toFixed(2));
    $("tune-hangover").setAttribute("aria-valuetext", `${hangoverMs} milliseconds`);
    const now = wakes(samples, this.current.threshold ?? 2).length;
    write($("tune-wakes"), `In the sound shown, it would have woken ${times(wakes(samples, threshold).length)}; now: ${times(now)}.`);
    const found = pauses(samples);
    const ended = (limit) => found.filter((ms) => ms >= limit).length;
    const longest = found.length ? `, the longest ${inSeconds(Math.max(...found))}` : "";
    write($("tune-pauses"), `${found.length} pauses in the speech shown${longest}; ${ended(hangoverMs)} of them would have ended an utterance; now ${ended(this.current.hangover_ms ?? Infinity)}.`);
    $("tune-store").disabled = this.changed.length === 0;
  }

  store() {
    const words = this.changed.map(([name, value]) => `${name}=${value}`);
    this.send(`tune ${words.join(" ")}`, "Stored, and in force after the turn in progress.");
  }

  async send(word, done) {
    const answer = await this.order(word);
    write($("tune-answer"), answer.error ? `That did not work: ${answer.error}` : done);
    $("tune-answer").classList.toggle("bad", Boolean(answer.error));
  }
}

const times = (count) => ["never", "once"][count] ?? `${count} times`;

const inSeconds = (ms) => (ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : lasting(ms / 1000));
