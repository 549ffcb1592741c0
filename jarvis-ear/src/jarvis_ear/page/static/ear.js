// The console of an ear: what its feed says, and the few orders it takes.

import { $, clock, lasting, lock, make, spaced, write } from "./dom.js";
import { Feed } from "./feed.js";
import { makeSwitches } from "./modules.js";
import { showTurns } from "./turns.js";
import { Words } from "./words.js";

const SAYS = {
  idle: "Waiting for the wake word", listening: "Listening", capturing: "Hearing you", thinking: "Thinking",
  speaking: "Speaking", follow_up: "Listening for more", muted: "Muted", deaf: "Deaf",
};

/** What changes when the ear comes back or is configured anew: everything is drawn again. */
const RARE = new Set(["ear", "about", "wake", "quiet_hours", "words"]);

/** Muted or deaf, it still speaks the reply that was under way. */
const STOPPABLE = new Set(["listening", "capturing", "thinking", "speaking", "follow_up", "muted", "deaf"]);

export function startEar(timeline) {
  new EarConsole(timeline).begin();
}

class EarConsole {
  constructor(timeline) {
    this.timeline = timeline;
    this.words = new Words($("words"), $("words-empty"));
    this.lostMs = null;
    this.turnsDue = false;
  }

  begin() {
    this.switches = makeSwitches((module, enabled) => {
      if (module === "audio") this.order(enabled ? "unmute" : "mute");
      else this.order(`${module}-${enabled ? "on" : "off"}`);
    });
    for (const [id, word] of [["mute", "toggle"], ["stop", "hush"]]) {
      $(id).addEventListener("click", () => this.order(word));
    }
    $("gate-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.open($("gate-secret").value.trim().replace(/^.*#token=/, ""));
    });
    this.open(takeToken());
  }

  async open(token) {
    if (!token) return this.ask("");
    const answer = await fetch("/console/token", { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
    if (answer?.status === 401) return this.ask("This token is not the one of the running console.");
    if (answer?.status === 429) return this.ask("Too many wrong tokens. Wait a minute, and try again.");
    sessionStorage.setItem("token", token);
    lock(false);
    this.feed = new Feed(`${location.origin.replace("http", "ws")}/console/feed`, token, {
      changed: (topics, topic) => this.changed(topics, topic),
      lost: () => this.lost(token),
      refused: () => this.ask("This token is not valid any more."),
    });
    this.feed.open();
  }

  ask(problem) {
    sessionStorage.removeItem("token");
    write($("gate-text"), "jarvis-ear console prints the address of this page, with a token behind the #. Open that address, or put the token in here.");
    write($("gate-label"), "Token");
    write($("gate-error"), problem);
    write($("state"), "Locked");
    $("gate-secret").value = "";
    lock(true);
  }

  async lost(token) {
    this.away("The console has stopped. This page comes back by itself when it is started again.");
    const answer = await fetch("/console/token", { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
    if (answer?.status === 401) {
      this.feed.open = () => {}; // a new console has a new token
      this.ask("The console was started anew, and has a new token.");
    }
  }

  away(text) {
    write($("banner"), text);
    $("banner").hidden = false;
    document.body.dataset.state = "unknown";
    write($("state"), "No connection");
    write($("why"), "");
    pill("pill-ear", "ear away", "bad");
    $("pill-link").hidden = true;
    $("mute").disabled = $("stop").disabled = true;
    this.timeline.enter("unknown");
  }

  async order(word) {
    const answer = await this.feed.order(word);
    if (answer.error) write($("why"), `That did not work: ${answer.error}`);
    else if (answer.stored === false) write($("why"), "A restart will not remember this: see the log of the ear.");
  }

  changed(topics, topic) {
    if (topics.ear && !topics.ear.up) return this.away(absent(topics.ear.why));
    if (topic === null || RARE.has(topic)) {
      $("banner").hidden = true;
      this.timeline.threshold = topics.wake?.threshold ?? null;
      write($("agent"), topics.about?.agent ?? "");
      $("mute").disabled = false;
      this.lostMs = topics.gaps?.lost_ms ?? null;
      pill("pill-ear", "ear", "good");
      for (const one of ["state", "mute", "link", "sound", "health"]) this.show(one, topics);
      this.showTurns(topics);
    } else if (topic.startsWith("turn:")) this.showTurnsSoon(topics, topic);
    else this.show(topic, topics);
  }

  show(topic, topics) {
    const value = topics[topic];
    if (!value) return;
    if (topic === "state" || topic === "mute") this.showState(topics);
    else if (topic === "sound") this.showSound(value, topics);
    else if (topic === "gaps") this.showGap(value);
    else if (topic === "link") showLink(value);
    else if (topic === "health") {
      showHealth(value);
      if (topics.state?.name === "deaf") write($("why"), deafness(value, topics.state.why));
      this.showModules(value);
    }
  }

  showState(topics) {
    const { name, why } = topics.state;
    const by = topics.mute?.by ?? [];
    document.body.dataset.state = name;
    this.timeline.enter(name);
    write($("state"), SAYS[name] ?? spaced(name));
    if (name === "muted") write($("why"), mutedBy(by, topics.quiet_hours?.between));
    else write($("why"), name === "deaf" ? deafness(topics.health, why) : why);
    const isMuted = by.length > 0;
    $("mute").setAttribute("aria-pressed", String(isMuted));
    this.switches.audio.checked = !isMuted;
    write($("mute").firstChild, isMuted ? "Unmute " : "Mute ");
    $("stop").disabled = !STOPPABLE.has(name);
  }

  /** The bus says of most modules how they are only when somebody switches them. */
  showModules({ bus, modules }) {
    $("modules-card").hidden = !bus || bus === "off";
    for (const [module, enabled] of Object.entries(modules ?? {})) this.switches[module].checked = enabled;
    for (const one of Object.values(this.switches)) one.disabled = bus !== "connected";
    write($("modules-note"), bus === "connected" ? "A switch is announced to everybody on the bus. Audio is the microphone of this ear." : `The bus is away: ${spaced(bus)}.`);
  }

  showSound({ dbfs: levels, speech, score }, topics) {
    const hears = !["muted", "deaf"].includes(topics.state?.name);
    const dbfs = levels.length ? Math.max(...levels) : (this.dbfs ?? -120);
    this.dbfs = dbfs;
    write($("level"), hears ? `${Math.round(dbfs)} dBFS` : "–");
    write($("speech"), hears ? (speech ? "yes" : "no") : "–");
    write($("score"), hears ? score.toFixed(2) : "–");
    write($("threshold"), ` of ${topics.wake?.threshold ?? "?"}`);
    $("score").classList.toggle("hit", score >= (topics.wake?.threshold ?? 1));
    const loud = hears ? Math.min(Math.max(1 + dbfs / 60, 0), 1) : 0;
    $("orb").style.setProperty("--loud", loud.toFixed(2));
    if (hears) this.timeline.add({ levels, frameMs: 20, speech, score });
  }

  showGap({ lost_ms: lost }) {
    if (this.lostMs !== null && lost > this.lostMs) this.timeline.mark(`gap ${lost - this.lostMs} ms`, "gap");
    this.lostMs = lost;
  }

  /** A turn changes several times within a tick: draw once. */
  showTurnsSoon(topics, topic) {
    const turn = topics[topic];
    if (turn && !this.marked?.has(turn.id) && turn.score !== null) {
      this.timeline.mark(`${topics.wake?.word ?? "wake word"} ${turn.score}`, "wake");
      (this.marked ??= new Set()).add(turn.id);
    }
    if (this.turnsDue) return;
    this.turnsDue = true;
    queueMicrotask(() => {
      this.turnsDue = false;
      this.showTurns(topics);
    });
  }

  showTurns(topics) {
    const turns = Object.entries(topics).filter(([name]) => name.startsWith("turn:")).map(([, turn]) => turn);
    turns.sort((one, other) => other.began_at - one.began_at);
    (this.marked ??= new Set()) && turns.forEach((turn) => this.marked.add(turn.id));
    showTurns($("turns"), turns);
    $("turns-empty").hidden = turns.length > 0;
    this.words.show(turns.filter((turn) => turn.characters !== undefined || turn.partial).reverse().map((turn) => said(turn, topics.words?.shown)));
  }
}

function absent(why) {
  if (why === "it is not running") return "The ear is not running. This page comes back by itself when it is.";
  return `There is no ear to see: ${why}. This page comes back by itself.`;
}

function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname);
  return token ?? sessionStorage.getItem("token");
}

function said(turn, shown) {
  const hidden = `${turn.characters} characters understood. The words are hidden: console.transcripts = true shows them.`;
  const pieces = turn.chunks === 1 ? "one piece of speech" : `${turn.chunks} pieces of speech`;
  return {
    id: turn.id,
    said: turn.transcript ?? turn.partial ?? (shown ? "" : hidden),
    partial: turn.transcript === undefined,
    reply: turn.reply ?? (turn.chunks || turn.reply_characters ? `Answered with ${turn.chunks ? `${pieces}, played by the ear` : `${turn.reply_characters} characters`}.` : ""),
    note: turn.outcome && turn.outcome !== "done" ? `${spaced(turn.outcome)}${turn.cause ? `: ${spaced(turn.cause)}` : ""}` : "",
  };
}

function mutedBy(by, between) {
  const until = between ? between.split("-")[1] : "";
  const words = by.map((who) => {
    if (who === "owner") return "by you, until you unmute";
    if (who === "clock") return until ? `by the clock, until ${until}` : "by the clock";
    return `by the ${who}, until it lets go`;
  });
  return `The microphone is closed ${words.join(", and ")}.`;
}

/** The reason comes with the health, up to a second after the state. */
function deafness(health, why) {
  if (!health?.deaf_reason) return why;
  return `${health.deaf_reason}. To do: ${health.deaf_remedy}`;
}

function pill(id, text, kind) {
  $(id).hidden = false;
  $(id).className = `pill ${kind}`;
  write($(id), text);
}

function showLink({ up, why, at }) {
  pill("pill-link", up ? "backend" : `backend away since ${clock(at)}`, up ? "good" : "bad");
  $("pill-link").title = up ? "" : why;
}

const FACTS = [
  ["hearing", "Hears", (v) => (v ? "yes" : "no")],
  ["heard_s_ago", "Last sound", (v) => (v === null ? "never" : v < 2 ? "now" : `${lasting(v)} ago`)],
  ["noise_floor_dbfs", "Noise floor", (v) => `${Math.round(v)} dBFS`],
  ["clipped_percent", "Clipped", (v) => `${v} % of the last minute`],
  ["deaf_s_today", "Deaf today", (v) => lasting(v)],
  ["source", "Source", String],
  ["samples_lost", "Sound lost", (v) => `${Math.round(v / 16)} ms`],
  ["dropped_samples", "Dropped inside", (v) => `${Math.round(v / 16)} ms`],
  ["overflows", "Overflows", String],
  ["gaps", "Gaps", String],
  ["stuck", "Stuck", (v) => (v.length ? v.join(", ") : "nothing")],
  ["uptime_s", "Runs for", (v) => lasting(v)],
  ["version", "Version", String],
];

function showHealth(report) {
  const rows = FACTS.filter(([key]) => key in report).map(([key, name, form]) =>
    make("div", { class: key === "stuck" && report.stuck.length ? "bad" : "" }, make("dt", {}, name), make("dd", {}, form(report[key]))));
  $("health").replaceChildren(...rows);
  $("health-empty").hidden = true;
}
