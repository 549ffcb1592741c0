// The console of a backend: its own turns, its modules, and a way to talk to it without an ear.

import { Bus } from "./bus.js";
import { $, lasting, lock, make, showNoSound, spaced, write, writeState } from "./dom.js";
import { Line, Microphone, Player } from "./talk.js";
import { showTurns } from "./turns.js";
import { Words } from "./words.js";

const LONGEST_S = 28;
const SPOKEN_DBFS = -45; // louder than that is drawn as speech: the backend decides what it is
const KEPT = 12;
const AGAIN = "Press Talk, and speak.";

export function startBackend(timeline, kind) {
  new BackendConsole(timeline, kind).begin();
}

class BackendConsole {
  constructor(timeline, kind) {
    this.timeline = timeline;
    this.kind = kind;
    this.words = new Words($("words"), $("words-empty"));
    this.microphone = new Microphone();
    this.player = new Player();
    this.turns = [];
    this.state = "idle";
  }

  begin() {
    write($("agent"), "backend");
    write($("words-empty"), "Press Talk, ask something, and press it again.");
    $("talk").addEventListener("click", () => this.pressTalk());
    $("stop").addEventListener("click", () => this.stop());
    $("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.login($("gate-secret").value);
    });
    this.enter("locked", "Log in to talk", "");
    write($("gate-title"), "Log in");
    write($("gate-text"), "Enter the password of the backend. It is sent once and not stored: after a reload, this page asks again.");
    write($("gate-label"), "Password");
    write($("gate-send"), "Log in");
    lock(true);
    $("talk").disabled = true;
    this.watchHealth();
  }

  async login(password) {
    const answer = await fetch("/api/auth/login", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ password }),
    }).catch(() => null);
    $("gate-secret").value = "";
    if (!answer?.ok) return write($("gate-error"), answer ? "The backend does not accept this password." : "The backend cannot be reached.");
    const { token } = await answer.json();
    lock(false);
    $("talk").disabled = false;
    $("talk").focus();
    const origin = location.origin.replace("http", "ws");
    this.line = new Line(origin + this.kind.realtime, token, {
      told: (message, audio) => this.told(message, audio),
      gone: () => this.gone(),
    });
    this.bus = new Bus(`${origin}/ws`, token);
    this.bus.begin();
    this.watchStatus(token);
    return this.enter("idle", "Ready", AGAIN);
  }

  enter(state, text, why) {
    this.state = state;
    document.body.dataset.state = state === "locked" ? "unknown" : state;
    this.timeline.enter(state === "locked" ? "unknown" : state);
    writeState(text);
    write($("why"), why);
    const talks = state === "capturing";
    $("talk").setAttribute("aria-pressed", String(talks));
    write($("talk").firstChild, talks ? "Send " : "Talk ");
    $("stop").disabled = !["capturing", "thinking", "speaking"].includes(state);
  }

  async pressTalk() {
    if (this.state === "capturing") return this.send();
    this.player.silence();
    try {
      await this.line.connect();
      await this.microphone.open((pcm) => this.heard(pcm));
    } catch (error) {
      await this.closeMicrophone();
      return this.enter("idle", "Ready", error.name === "NotAllowedError" ? "The browser does not let this page use the microphone." : `That did not work: ${error.message}`);
    }
    const turn = { id: `t${Date.now()}`, began_at: Date.now() / 1000, pieces: [], stages_ms: {}, outcome: "", cause: "", score: null, provider: "", chunks: 0, name: "your question" };
    this.began = performance.now();
    this.turns = [...this.turns, turn].slice(-KEPT);
    this.turn = turn;
    return this.enter("capturing", "Hearing you", "Press again to send.");
  }

  heard(pcm) {
    if (!this.microphone.isOpen) return; // it was under way when the microphone was closed
    const dbfs = loudness(pcm);
    const speech = dbfs > SPOKEN_DBFS;
    this.timeline.add({ levels: quarters(pcm).map(loudness), frameMs: 25, speech });
    $("orb").style.setProperty("--loud", Math.min(Math.max(1 + dbfs / 60, 0), 1).toFixed(2));
    write($("level"), `${Math.round(dbfs)} dBFS`);
    write($("speech"), speech ? "yes" : "no");
    if (this.state !== "capturing") return;
    this.line.send(pcm);
    if (performance.now() - this.began > LONGEST_S * 1000) this.send();
  }

  async send() {
    this.enter("thinking", "Thinking", "");
    this.ended = performance.now();
    this.turn.stages_ms = { began: Math.round(this.began - this.ended), end_of_speech: 0 };
    this.line.end();
    this.stage("sent");
    this.show();
    await this.closeMicrophone();
  }

  async closeMicrophone() {
    const closing = this.microphone.close();
    showNoSound();
    await closing;
  }

  async stop() {
    this.player.silence();
    this.line?.close(); // nothing else tells this wire that nobody waits
    await this.closeMicrophone();
    this.finish("abandoned", "");
    this.enter("idle", "Ready", "Stopped.");
  }

  gone() {
    if (this.state === "idle" || this.state === "locked") return;
    this.closeMicrophone();
    this.finish("reply_lost", "link_lost");
    this.enter("idle", "Ready", "The backend closed the connection. Press Talk to try again.");
  }

  told({ type, payload }, audio) {
    if (type === "status") this.status(payload);
    if (!this.turn) return;
    if (type === "transcript") this.understood(payload);
    else if (type === "response") {
      this.turn.reply = payload.text;
      this.stage("response");
    } else if (type === "audio") this.spoken(audio);
    this.show();
  }

  understood({ text, is_final: isFinal }) {
    if (!isFinal) this.turn.partial = text;
    else {
      this.turn.transcript = text;
      this.turn.characters = text.length;
      this.stage("transcript");
    }
  }

  spoken(audio) {
    this.turn.pieces.push(audio);
    this.turn.chunks += 1;
    this.stage("first_audio");
    if ($("aloud").checked && !this.player.add(audio)) this.play(this.turn);
  }

  status({ state, code, message }) {
    if (state === "responding") this.enter("thinking", "Answering", "");
    if (state === "idle" && this.turn) {
      this.finish("done", "");
      if (this.state === "thinking") this.enter("idle", "Ready", AGAIN);
    }
    if (state === "error") {
      this.closeMicrophone();
      this.finish("failed", code);
      this.enter("idle", "Ready", message);
    }
  }

  finish(outcome, cause) {
    if (!this.turn) return;
    this.turn.outcome ||= outcome;
    this.turn.cause ||= cause;
    this.stage("done");
    this.turn = null;
    this.show();
  }

  stage(name) {
    if (this.turn && this.ended && !(name in this.turn.stages_ms) && "end_of_speech" in this.turn.stages_ms) {
      this.turn.stages_ms[name] = Math.round(performance.now() - this.ended);
    }
  }

  async play(turn) {
    await this.player.play(turn.pieces, {
      started: () => this.playing(turn, true),
      ended: () => this.playing(turn, false),
    });
  }

  playing(turn, isPlaying) {
    turn.playing = isPlaying;
    if (isPlaying && this.state !== "capturing") this.enter("speaking", "Speaking", "");
    if (!isPlaying && this.state === "speaking") this.enter("idle", "Ready", AGAIN);
    this.show();
  }

  show() {
    showTurns($("turns"), [...this.turns].reverse());
    $("turns-empty").hidden = this.turns.length > 0;
    this.words.show(this.turns.map((turn) => ({
      id: turn.id,
      said: turn.transcript ?? turn.partial ?? "",
      partial: turn.transcript === undefined,
      reply: turn.reply,
      note: turn.outcome && turn.outcome !== "done" ? `${spaced(turn.outcome)}${turn.cause ? `: ${spaced(turn.cause)}` : ""}` : "",
      play: turn.pieces.length ? () => this.play(turn) : null,
      playing: turn.playing,
    })));
  }

  /** A backend that does not tell its satellites has no such card. */
  async watchStatus(token) {
    const answer = await fetch("/api/status", { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
    if (answer?.status === 404) return;
    if (answer?.ok) {
      const { agents, modules } = await answer.json();
      showAgents(agents);
      this.bus.show(modules);
    }
    setTimeout(() => this.watchStatus(token), 3000);
  }

  async watchHealth() {
    const report = await fetch("/api/health").then((answer) => answer.json()).catch(() => null);
    $("banner").hidden = report !== null;
    write($("banner"), "The backend cannot be reached. Trying again.");
    if (report) showHealth(report);
    setTimeout(() => this.watchHealth(), report ? 5000 : 1000);
  }
}

function showAgents(agents) {
  $("agents-card").hidden = false;
  $("agents-empty").hidden = agents.length > 0;
  $("agents").replaceChildren(...agents.map(({ agentId, state, since }) => fact(agentId, `${state}, for ${lasting(Date.now() / 1000 - since)}`)));
}

const PARTS = { stt: "Understands with", brain: "Answers with", tts: "Speaks with" };

function showHealth(report) {
  const parts = Object.entries(report.components ?? {}).map(([part, { engine, status, reason }]) =>
    fact(PARTS[part] ?? part, status === "ok" ? engine : `nothing: ${reason ?? status}`, status !== "ok"));
  $("health").replaceChildren(...parts, fact("Status", report.status, report.status !== "ok"), fact("Runs for", lasting(report.uptime)), fact("Version", report.version));
  $("health-empty").hidden = true;
}

/** dBFS, where a full sine has 0. */
function loudness(pcm) {
  const energy = pcm.reduce((sum, one) => sum + one * one, 0) / pcm.length;
  return Math.max(10 * Math.log10(energy / 32768 ** 2 + 1e-12) + 3, -120);
}

function quarters(pcm) {
  const quarter = pcm.length / 4;
  return [0, 1, 2, 3].map((place) => pcm.subarray(place * quarter, (place + 1) * quarter));
}

function fact(name, value, isBad = false) {
  return make("div", { class: isBad ? "bad" : "" }, make("dt", {}, name), make("dd", {}, value));
}
