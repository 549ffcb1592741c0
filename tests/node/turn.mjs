// One turn on /voice by the official client of Socket.IO: `node turn.mjs URL RECORDING.wav`, the
// password in JARVIS_PASSWORD. Writes what it is told as one JSON array a line: event, payload.
import { readFile } from "node:fs/promises";
import { io } from "socket.io-client";

const [url, recording] = process.argv.slice(2);
const say = (...words) => console.log(JSON.stringify(words));

const login = await fetch(`${url}/api/auth/login`, {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ password: process.env.JARVIS_PASSWORD }),
});
const { token } = await login.json();
const transports = (process.env.TRANSPORTS ?? "websocket").split(",");

const stranger = io(`${url}/voice`, { auth: { token: "nonsense" }, transports, forceNew: true });
say("refused", await new Promise((hear) => stranger.on("connect_error", (error) => hear(error.message))));
stranger.disconnect();

const agent = { agentId: "node" };
const audio = (await readFile(recording)).toString("base64");
const voice = io(`${url}/voice`, { auth: { token }, transports, forceNew: true });

// Events of one packet come at once: each is kept until it is asked for.
const events = [];
let wake = () => {};
voice.onAny((event, payload) => {
  say(event, payload);
  events.push(event);
  wake();
});
const told = async (event) => {
  while (!events.includes(event)) await new Promise((hear) => (wake = hear));
  events.splice(0, events.indexOf(event) + 1);
};

await told("voice:listening");
voice.emit("voice:audio_start", agent);
await told("voice:listening");
voice.emit("voice:audio_chunk", { ...agent, audio, seq: 0 });
voice.emit("voice:audio_end", agent);
await told("voice:tts_done");
await told("voice:listening");
voice.emit("voice:ping", agent);
await told("voice:pong");
voice.disconnect();
