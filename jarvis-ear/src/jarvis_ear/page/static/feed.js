// The feed: a snapshot, then what changes. It comes back by itself, and a reload is always right.

const FIRST_MS = 300;
const LONGEST_MS = 4000;

/** One WebSocket at a time to the console's server. `changed(topics, names)` after every news. */
export class Feed {
  constructor(address, token, { changed, lost, refused }) {
    this.address = address;
    this.token = token;
    this.on = { changed, lost, refused };
    this.topics = {};
    this.wait = FIRST_MS;
    this.asked = new Map();
    this.next = 1;
  }

  open() {
    // The token goes where no log and no history keeps it; the server names the other protocol.
    const socket = new WebSocket(this.address, ["jarvis-console", `token.${this.token}`]);
    this.socket = socket;
    let opened = false;
    socket.addEventListener("open", () => {
      opened = true;
      this.wait = FIRST_MS;
    });
    socket.addEventListener("message", (event) => this.hear(JSON.parse(event.data)));
    socket.addEventListener("close", (event) => {
      for (const answer of this.asked.values()) answer({ error: "the console does not answer" });
      this.asked.clear();
      if (event.code === 4401) return this.on.refused();
      this.on.lost(opened);
      setTimeout(() => this.open(), this.wait * (0.75 + Math.random() / 2));
      this.wait = Math.min(this.wait * 2, LONGEST_MS);
    });
  }

  /** Send an order; the answer comes as a promise. */
  order(word) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.resolve({ error: "not connected" });
    const id = this.next++;
    this.socket.send(JSON.stringify({ order: word, id }));
    return new Promise((answer) => this.asked.set(id, answer));
  }

  hear(message) {
    if (message.snapshot) {
      this.topics = message.snapshot;
      this.on.changed(this.topics, null);
    } else if (message.deltas) {
      for (const [topic, value] of message.deltas) {
        if (value === null) delete this.topics[topic];
        else this.topics[topic] = value;
        this.on.changed(this.topics, topic);
      }
    } else if (message.answer) {
      this.asked.get(message.id)?.(message.answer);
      this.asked.delete(message.id);
    }
  }
}
