// The last half minute of sound: level, speech, wake score, state, and what was not heard.

const SPAN_MS = 30_000;
const QUIETEST = -72;
const MISSING_MS = 400; // five ticks without a sample: nothing was heard, and it shows

const COLOURS = {
  idle: "--idle", listening: "--listening", capturing: "--capturing", thinking: "--thinking",
  speaking: "--speaking", follow_up: "--listening", muted: "--muted", deaf: "--deaf", unknown: "--deaf",
};

export class Timeline {
  constructor(canvas) {
    this.canvas = canvas;
    this.samples = []; // {at, dbfs, speech, score}, oldest first
    this.marks = []; // {at, text, kind}
    this.states = [{ at: -Infinity, name: "unknown" }];
    this.threshold = null;
    this.candidate = null; // a threshold that somebody tries
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.drawn = 0;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.restyle());
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.restyle();
    requestAnimationFrame(() => this.animate());
  }

  /** Add what came since the last time: a level for every frame, the newest last. */
  add({ levels, frameMs, speech, score }) {
    const now = performance.now();
    levels.forEach((dbfs, place) => {
      const at = now - (levels.length - 1 - place) * frameMs;
      this.samples.push({ at: Math.max(at, this.samples.at(-1)?.at ?? 0), dbfs, speech, score });
    });
    this.forget();
  }

  enter(name) {
    if (this.states.at(-1).name !== name) this.states.push({ at: performance.now(), name });
  }

  mark(text, kind, agoMs = 0) {
    this.marks.push({ at: performance.now() - agoMs, text, kind });
  }

  /** What a person who does not see the picture is told. */
  describe() {
    const last = this.samples.at(-1);
    if (!last || performance.now() - last.at > MISSING_MS) return "The last 30 seconds of sound: no sound arrives now";
    const spoken = this.samples.filter((one) => one.speech).length / Math.max(this.samples.length, 1);
    const share = `speech in ${Math.round(spoken * 100)} percent of it`;
    const gaps = this.marks.filter((one) => one.kind === "gap").length;
    const near = this.marks.filter((one) => one.kind === "near").length;
    return `The last 30 seconds of sound: level ${Math.round(last.dbfs)} dBFS now, ${share}, ${gaps} gaps${near ? `, ${near} near misses` : ""}`;
  }

  forget() {
    const oldest = performance.now() - SPAN_MS - 1000;
    while (this.samples.length && this.samples[0].at < oldest) this.samples.shift();
    while (this.marks.length && this.marks[0].at < oldest) this.marks.shift();
    while (this.states.length > 1 && this.states[1].at < oldest) this.states.shift();
  }

  restyle() {
    const style = getComputedStyle(document.documentElement);
    this.colour = (name) => style.getPropertyValue(name).trim();
    this.font = `500 11px ${style.getPropertyValue("--font")}`;
  }

  resize() {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.canvas.clientWidth * ratio);
    this.canvas.height = Math.round(this.canvas.clientHeight * ratio);
    this.drawn = 0;
  }

  animate() {
    requestAnimationFrame(() => this.animate());
    const now = performance.now();
    if (now - this.drawn < (this.calm.matches ? 1000 : 38)) return;
    this.drawn = now;
    this.draw(now);
  }

  draw(now) {
    const pen = this.canvas.getContext("2d");
    const ratio = devicePixelRatio || 1;
    const [width, height] = [this.canvas.width / ratio, this.canvas.height / ratio];
    const floor = height - 10; // the band of states stands below
    const x = (at) => width - ((now - at) / SPAN_MS) * width;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.drawGrid(pen, width, floor);
    this.drawStates(pen, x, width, floor, height, now);
    this.drawLevel(pen, x, floor, width);
    this.drawScore(pen, x, width, floor);
    this.drawMarks(pen, x, floor, width);
  }

  drawGrid(pen, width, floor) {
    pen.strokeStyle = this.colour("--line");
    pen.lineWidth = 1;
    for (let s = 5; s < 30; s += 5) {
      const at = Math.round(width - (s / 30) * width) + 0.5;
      pen.beginPath();
      pen.moveTo(at, 0);
      pen.lineTo(at, floor);
      pen.stroke();
    }
  }

  drawStates(pen, x, width, floor, height, now) {
    this.states.forEach((state, place) => {
      const from = Math.max(0, x(state.at));
      const to = Math.min(width, x(this.states[place + 1]?.at ?? now));
      if (to <= from) return;
      pen.fillStyle = this.colour(COLOURS[state.name] ?? "--deaf");
      pen.fillRect(from, height - 5, to - from + 0.5, 5);
      if (state.name === "muted" || state.name === "deaf") this.hatch(pen, from, to, floor, pen.fillStyle);
    });
  }

  hatch(pen, from, to, floor, colour) {
    pen.save();
    pen.beginPath();
    pen.rect(from, 0, to - from, floor);
    pen.clip();
    pen.strokeStyle = colour;
    pen.globalAlpha = 0.28;
    pen.lineWidth = 2;
    // The pattern moves with the sound, not with the window.
    for (let at = from - floor; at < to; at += 11) {
      pen.beginPath();
      pen.moveTo(at, floor);
      pen.lineTo(at + floor, 0);
      pen.stroke();
    }
    pen.restore();
  }

  drawLevel(pen, x, floor, width) {
    const middle = floor / 2;
    const colours = [this.colour("--wave"), this.colour("--accent")];
    let before = -Infinity;
    for (const one of this.samples) {
      const loud = Math.min(Math.max(1 - one.dbfs / QUIETEST, 0), 1);
      const half = Math.max(0.8, loud ** 1.6 * (middle - 6));
      const to = x(one.at);
      const from = one.at - before > MISSING_MS ? to - width / 1500 : x(before);
      pen.fillStyle = colours[Number(one.speech)];
      pen.fillRect(from, middle - half, Math.max(to - from, 0.8), 2 * half);
      before = one.at;
    }
  }

  drawScore(pen, x, width, floor) {
    if (this.threshold === null) return;
    const y = (score) => floor - 3 - score * (floor - 16);
    this.drawLimit(pen, y(this.threshold), width, "--score");
    if (this.candidate !== null) this.drawLimit(pen, y(this.candidate), width, "--listening");
    pen.strokeStyle = this.colour("--score");
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    let before = -Infinity;
    for (const one of this.samples) {
      if (one.at - before > MISSING_MS) pen.moveTo(x(one.at), y(one.score ?? 0));
      else pen.lineTo(x(one.at), y(one.score ?? 0));
      before = one.at;
    }
    pen.stroke();
    this.label(pen, `wakes at ${this.threshold}`, 6, y(this.threshold) - 6, "--score");
    if (this.candidate !== null) this.label(pen, `would wake at ${this.candidate}`, 96, y(this.candidate) - 6, "--listening");
  }

  drawLimit(pen, y, width, colour) {
    pen.strokeStyle = this.colour(colour);
    pen.setLineDash([4, 4]);
    pen.lineWidth = 1;
    pen.globalAlpha = 0.75;
    pen.beginPath();
    pen.moveTo(0, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  /** Labels stand in two rows, and none over another: they are written from the newest back. */
  drawMarks(pen, x, floor, width) {
    const free = [Infinity, Infinity];
    for (const mark of [...this.marks].reverse()) {
      const at = x(mark.at);
      const colour = { gap: "--muted", near: "--score" }[mark.kind] ?? "--text";
      pen.fillStyle = this.colour(colour);
      pen.fillRect(Math.round(at), 0, mark.kind === "gap" ? 3 : 1, floor);
      pen.font = this.font;
      const wide = pen.measureText(mark.text).width;
      const from = Math.min(at + 7, width - wide - 6);
      const row = free.findIndex((left) => from + wide < left);
      if (row < 0) continue;
      this.label(pen, mark.text, from, 14 + 17 * row, colour);
      free[row] = from - 10;
    }
  }

  /** Write on a ground of its own, so that no sound behind it makes it hard to read. */
  label(pen, text, from, base, colour) {
    pen.font = this.font;
    pen.fillStyle = this.colour("--soft");
    pen.globalAlpha = 0.85;
    pen.beginPath();
    pen.roundRect(from - 4, base - 11, pen.measureText(text).width + 8, 15, 4);
    pen.fill();
    pen.globalAlpha = 1;
    pen.fillStyle = this.colour(colour);
    pen.fillText(text, from, base);
  }
}
