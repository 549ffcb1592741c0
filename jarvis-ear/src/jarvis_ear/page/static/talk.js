// Talking to the backend over its realtime stream: WAV slices up, transcripts and speech down.

const RATE = 16_000;

/** One microphone, opened for as long as somebody talks. `heard` gets each tenth of a second. */
export class Microphone {
  constructor() {
    this.stream = this.context = null;
  }

  async open(heard) {
    // Recognisers want sound as it is, and no reply is played while somebody talks.
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true },
    });
    this.context = new AudioContext({ sampleRate: RATE });
    await this.context.audioWorklet.addModule("/console/recorder.js");
    const node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    node.port.addEventListener("message", (event) => heard(event.data));
    node.port.start();
    this.context.createMediaStreamSource(this.stream).connect(node);
    await this.context.resume();
  }

  get isOpen() {
    return this.stream !== null;
  }

  async close() {
    const { stream, context } = this;
    this.stream = this.context = null;
    stream?.getTracks().forEach((track) => track.stop());
    await context?.close();
  }
}

/** One connection, kept for as long as it lives. `told(message, audio)` for everything it says. */
export class Line {
  constructor(address, token, { told, gone }) {
    this.address = address;
    this.token = token;
    this.on = { told, gone };
    this.announced = null;
  }

  connect() {
    if (this.socket?.readyState === WebSocket.OPEN) return Promise.resolve();
    const socket = new WebSocket(this.address, [this.token]);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("message", (event) => this.hear(event.data));
    return new Promise((opened, failed) => {
      socket.addEventListener("open", opened);
      socket.addEventListener("close", () => {
        failed(new Error("the backend refused or closed the connection"));
        this.on.gone();
      });
    });
  }

  send(pcm) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(wav(pcm));
  }

  end() {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send('{"event":"end"}');
  }

  close() {
    this.socket?.close();
  }

  hear(data) {
    if (typeof data === "string") {
      const message = JSON.parse(data);
      if (message.type === "audio") this.announced = message.payload;
      else this.on.told(message, null);
    } else if (this.announced) {
      this.on.told({ type: "audio", payload: this.announced }, data);
      this.announced = null;
    }
  }
}

/** A WAV file of PCM16 with one channel. */
export function wav(pcm) {
  const bytes = new ArrayBuffer(44 + pcm.byteLength);
  const view = new DataView(bytes);
  const text = (at, letters) => [...letters].forEach((one, place) => view.setUint8(at + place, one.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + pcm.byteLength, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, RATE, true);
  view.setUint32(28, RATE * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, pcm.byteLength, true);
  new Int16Array(bytes, 44).set(pcm);
  return bytes;
}

/** Plays pieces of speech one after the other, until it is silenced. */
export class Player {
  constructor() {
    this.waiting = [];
    this.source = null;
  }

  async play(pieces, { started = () => {}, ended = () => {} } = {}) {
    this.silence();
    this.waiting = [...pieces];
    this.on = { started, ended };
    this.context ??= new AudioContext();
    await this.context.resume();
    await this.next();
  }

  /** Add a piece to what is being played; false if nothing is. */
  add(piece) {
    if (!this.on) return false;
    this.waiting.push(piece);
    if (!this.source) this.next();
    return true;
  }

  silence() {
    this.waiting = [];
    const { source, on } = this;
    this.source = this.on = null;
    source?.stop();
    on?.ended();
  }

  async next() {
    const piece = this.waiting.shift();
    if (!piece) {
      const on = this.on;
      this.source = this.on = null;
      return on?.ended();
    }
    const sound = await this.context.decodeAudioData(piece.slice(0));
    if (!this.on) return undefined;
    const source = this.context.createBufferSource();
    source.buffer = sound;
    source.connect(this.context.destination);
    source.addEventListener("ended", () => this.source === source && this.next());
    this.source = source;
    source.start();
    this.on.started();
    return undefined;
  }
}
