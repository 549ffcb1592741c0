// The microphone of the browser, in the audio thread: its sound at 16 kHz, a tenth of a second at a time.

const RATE = 16_000;
const SLICE = RATE / 10;

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.step = sampleRate / RATE; // 1 where the browser gives 16 kHz itself, as it is asked to
    this.place = 0;
    this.slice = new Int16Array(SLICE);
    this.filled = 0;
  }

  process([input]) {
    const sound = input[0];
    if (!sound) return true;
    for (; this.place < sound.length; this.place += this.step) {
      const left = Math.floor(this.place);
      const right = Math.min(left + 1, sound.length - 1);
      const value = sound[left] + (sound[right] - sound[left]) * (this.place - left);
      this.slice[this.filled++] = Math.max(-1, Math.min(1, value)) * 32767;
      if (this.filled === SLICE) this.hand();
    }
    this.place -= sound.length;
    return true;
  }

  hand() {
    const slice = this.slice;
    this.slice = new Int16Array(SLICE);
    this.filled = 0;
    this.port.postMessage(slice, [slice.buffer]);
  }
}

registerProcessor("recorder", Recorder);
