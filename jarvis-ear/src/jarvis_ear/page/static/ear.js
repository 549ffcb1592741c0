// The console of an ear: what its feed says, and the few orders it takes.

import { Clips } from "./clips.js";
import { $, clock, lasting, lock, make, showNoSound, spaced, write, writeState } from "./dom.js";
import { Feed } from "./feed.js";
import { makeSwitches } from "./modules.js";
import { showTurns, unheard } from "./turns.js";
import { Tuning } from "./tuning.js";
import { Words } from "./words.js";

const SAYS = {
  idle: "Waiting for the wake word", listening: "Listening", capturing: "Hearing you", thinking: "Thinking",
  speaking: "Speaking", follow_up: "Listening for more", muted: "Muted", deaf: "Deaf",
};

/** What changes when the ear comes back or is configured anew: everything is drawn again. */
const RARE = new Set(["ear", "about", "wake", "endpointing", "quiet_hours", "words"]);

/** Muted or deaf, it still speaks the reply that was under way. */
const STOPPABLE = new Set(["listening", "capturing", "thinking", "speaking", "follow_up", "muted", "deaf"]);

const LISTENS_ON_REQUEST = new Set(["idle", "thinking", "speaking", "follow_up"]);

/** A near miss is known a second after its sound. */
const AFTER_NEAR_MISS_MS = 1000;

export function startEar(timeline) {
  new EarConsole(timeline).begin();
}

class EarConsole {
  constructor(timeline) {
    this.timeline = timeline;
    this.words = new Words($("words"), $("words-empty"));
    this.lostMs = null;
    this.turnsDue = false;
    this.tuning = new Tuning(timeline, (word) => this.feed.order(word));
  }

  begin() {
    this.switches = makeSwitches((module, enabled) => {
      if (module === "audio") this.order(enabled ? "unmute" : "mute");
      else this.order(`${module}-${enabled ? "on" : "off"}`);
    });
    for (const [id, word] of [["mute", "toggle"], ["stop", "stop"], ["listen", "listen"]]) {
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
    this.clips = new Clips(token);
    this.clips.look();
    this.feed = new Feed(`${location.origin.replace("http", "ws")}/console/feed`, token, {
      changed: (topics, topic) => this.changed(topics, topic),
      lost: () => this.lost(token),
      refused: () => this.ask("This token is no longer valid."),
    });
    this.feed.open();
  }

  ask(problem) {
    sessionStorage.removeItem("token");
    write($("gate-text"), "jarvis-ear console prints the address of this page, with a token behind the #. Open that address, or put the token in here.");
    write($("gate-label"), "Token");
    write($("gate-error"), problem);
    writeState("Locked");
    $("gate-secret").value = "";
    lock(true);
  }

  async lost(token) {
    this.away("The console has stopped. This page reconnects when it starts again.");
    const answer = await fetch("/console/token", { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
    if (answer?.status === 401) {
      this.feed.open = () => {}; // a new console has a new token
      this.ask("The console was restarted, and has a new token.");
    }
  }

  away(text) {
    write($("banner"), text);
    $("banner").hidden = false;
    document.body.dataset.state = "unknown";
    writeState("No connection");
    write($("why"), "");
    showNoSound();
    pill("pill-ear", "ear away", "bad");
    $("pill-link").hidden = true;
    $("tune-store").disabled = true;
    $("troubles").replaceChildren();
    $("mute").disabled = $("stop").disabled = $("listen").disabled = true;
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
      this.tuning.show(topics.wake?.threshold ?? null, topics.endpointing?.hangover_ms ?? null);
      write($("agent"), topics.about?.agent ?? "");
      $("mute").disabled = false;
      this.lostMs = topics.gaps?.lost_ms ?? null;
      for (const one of ["state", "link", "health"]) this.show(one, topics);
      this.showTurns(topics);
    } else if (topic.startsWith("turn:")) this.showTurnsSoon(topics, topic);
    else this.show(topic, topics);
  }

  show(topic, topics) {
    const value = topics[topic];
    if (!value) return;
    if (topic === "state" || topic === "mute") this.showState(topics);
    else if (topic === "sound") this.hear(value, topics);
    else if (topic === "gaps") this.showGap(value);
    else if (topic === "near_miss") {
      this.timeline.mark(`near miss ${value.score}`, "near", AFTER_NEAR_MISS_MS);
      this.clips.lookSoon();
    }
    else if (topic === "link") showLink(value);
    else if (topic === "health") {
      showHealth(value);
      showTroubles(value.troubles ?? []);
      showEar(topics);
      this.showSound(topics);
      if (topics.state?.name === "deaf") write($("why"), deafness(value, topics.state.why));
      this.showModules(value);
    }
  }

  showState(topics) {
    const { name, why } = topics.state;
    const { by = [], until = "" } = topics.mute ?? {};
    document.body.dataset.state = name;
    this.timeline.enter(name);
    writeState(SAYS[name] ?? spaced(name));
    if (name === "muted") write($("why"), mutedBy(by, until, topics.quiet_hours?.between));
    else write($("why"), name === "deaf" ? deafness(topics.health, why) : why);
    const isMuted = by.length > 0;
    $("mute").setAttribute("aria-pressed", String(isMuted));
    this.switches.audio.checked = !isMuted;
    write($("mute").firstChild, isMuted ? "Unmute " : "Mute ");
    $("stop").disabled = !STOPPABLE.has(name);
    $("listen").disabled = !LISTENS_ON_REQUEST.has(name);
    showEar(topics);
    this.showSound(topics);
  }

  /** The bus says of most modules how they are only when somebody switches them. */
  showModules({ bus, modules }) {
    $("modules-card").hidden = !bus || bus === "off";
    for (const [module, enabled] of Object.entries(modules ?? {})) this.switches[module].checked = enabled;
    for (const one of Object.values(this.switches)) one.disabled = bus !== "connected";
    write($("modules-note"), bus === "connected" ? "A switch is announced to all members of the bus. Audio is the microphone of this ear." : `The bus is away: ${spaced(bus)}.`);
  }

  /** Draw what was heard since the last time. */
  hear({ dbfs: levels, speech, score }, topics) {
    if (levels.length) this.dbfs = Math.max(...levels);
    if (hears(topics)) this.timeline.add({ levels, frameMs: 20, speech, score });
    this.showSound(topics);
  }

  /** Show the figures; where nothing is heard, the last ones do not stay. */
  showSound(topics) {
    write($("threshold"), ` of ${topics.wake?.threshold ?? "?"}`);
    if (!topics.sound || !hears(topics)) return showNoSound();
    const { speech, score } = topics.sound;
    const dbfs = this.dbfs ?? -120;
    write($("level"), `${Math.round(dbfs)} dBFS`);
    write($("speech"), speech ? "yes" : "no");
    write($("score"), score.toFixed(2));
    $("score").classList.toggle("hit", score >= (topics.wake?.threshold ?? 1));
    return $("orb").style.setProperty("--loud", Math.min(Math.max(1 + dbfs / 60, 0), 1).toFixed(2));
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
      this.clips.lookSoon();
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
    this.words.show(turns.filter((turn) => turn.characters !== undefined || turn.partial || turn.reply).reverse().map((turn) => said(turn, topics.words?.shown)));
  }
}

function absent(why) {
  if (why === "it is not running") return "The ear is not running. To do: systemctl start jarvis-ear, or jarvis-ear run. This page reconnects automatically.";
  return `There is no ear to see: ${why}. This page reconnects automatically.`;
}

function takeToken() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) history.replaceState(null, "", location.pathname);
  return token ?? sessionStorage.getItem("token");
}

function said(turn, shown) {
  const hidden = `${turn.characters} characters understood. The words are hidden: console.transcripts = true shows them.`;
  return {
    id: turn.id,
    said: turn.transcript ?? turn.partial ?? (shown || turn.characters === undefined ? "" : hidden),
    partial: turn.transcript === undefined && turn.partial !== undefined,
    reply: turn.reply ?? answered(turn),
    note: turn.outcome && turn.outcome !== "done" ? `${spaced(turn.outcome)}${turn.cause ? `: ${spaced(turn.cause)}` : ""}` : "",
  };
}

/** What became of the spoken reply: that it was played only where the ear says so. */
function answered(turn) {
  if (!turn.chunks) return turn.reply_characters ? `Answered with ${turn.reply_characters} characters.` : "";
  const pieces = turn.chunks === 1 ? "one piece of speech" : `${turn.chunks} pieces of speech`;
  const played = turn.heard === "all" ? "played by the ear" : unheard(turn);
  return `Answered with ${pieces}${played && `, ${played}`}.`;
}

/** Whether sound comes from the microphone. */
function hears(topics) {
  return !["muted", "deaf"].includes(topics.state?.name) && topics.health?.hearing !== false;
}

function showEar(topics) {
  const isMuted = topics.state?.name === "muted" || topics.mute?.by?.length > 0;
  const stuck = topics.health?.stuck ?? [];
  if (isMuted) pill("pill-ear", "ear muted", "plain");
  else if (!hears(topics)) pill("pill-ear", topics.health?.heard_s_ago === null ? "ear without sound" : "ear deaf", "bad");
  else if (stuck.length) pill("pill-ear", "ear hangs", "bad");
  else pill("pill-ear", "ear", "good");
}

/** Who closed the microphone; `until` is when it opens by itself, if it does. */
function mutedBy(by, until, between) {
  const morning = between ? `, until ${between.split("-")[1]}` : "";
  const own = until ? `, until ${until}` : by.length === 1 ? ", until you unmute" : "";
  const words = by.map((who) => {
    if (who === "owner") return `by you${own}`;
    if (who === "clock") return `by the clock${morning}`;
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

const withRemedy = (reason, remedy) => (remedy ? `${reason}. To do: ${remedy}` : reason);

const FACTS = [
  ["hearing", "Hears", (v) => (v ? "yes" : "no")],
  ["heard_s_ago", "Last sound", (v) => (v === null ? "never" : v < 2 ? "now" : `${lasting(v)} ago`)],
  ["noise_floor_dbfs", "Noise floor", (v) => `${Math.round(v)} dBFS`],
  ["near_misses_in_hour", "Near misses", (v) => (v ? `${v} in the last hour` : "none in the last hour")],
  ["near_miss_reason", "Did not wake because", (v, all) => `${v} (best score ${all.near_miss_best_score.toFixed(2)}). If that was you: ${all.near_miss_remedy}`],
  ["clipped_percent", "Clipped", (v) => `${v} % of the last minute`],
  ["deaf_s_today", "Deaf today", (v) => lasting(v)],
  ["deaf_reason", "Deaf because", (v, all) => withRemedy(v, all.deaf_remedy)],
  ["backend_reason", "Backend away because", (v, all) => withRemedy(v, all.backend_remedy)],
  ["backend_url", "Backend", String],
  ["source", "Source", String],
  ["stuck", "Does not move", (v) => v.join(", ")],
  ["uptime_s", "Runs for", (v) => lasting(v)],
  ["version", "Version", String],
];

/** What stands among the facts only when it is so. */
const TROUBLES = new Set(["stuck", "deaf_reason", "backend_reason"]);

function showHealth(report) {
  const told = FACTS.filter(([key]) => key in report && !(TROUBLES.has(key) && !report[key].length));
  const rows = told.map(([key, name, form]) => fact(name, form(report[key], report), TROUBLES.has(key)));
  const noted = (report.noted ?? []).map(([name, count]) => fact(name, String(count)));
  $("health").replaceChildren(...rows, ...noted);
  $("health-empty").hidden = true;
}

/** What is wrong and what to do, in words of the ear; a list without changes is not drawn again. */
function showTroubles(troubles) {
  const words = troubles.map(([what, remedy]) => `${what}. To do: ${remedy}`);
  if ([...$("troubles").children].map((one) => one.textContent).join() === words.join()) return;
  $("troubles").replaceChildren(...words.map((text) => make("li", {}, text)));
}

function fact(name, value, isBad = false) {
  return make("div", { class: isBad ? "bad" : "" }, make("dt", {}, name), make("dd", {}, value));
}
