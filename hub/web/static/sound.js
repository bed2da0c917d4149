// The alarm's sound. A browser lets a page sound only after a gesture, so its state is always shown, and loudly where there is no sound:
// the first click or key anywhere turns it on, and only a person's own "off" keeps it off.
const EVERY = 2400;
const OFF = "anxin-sound-off";
const MUTED = "anxin-muted";

export class Sound {
  constructor(button) {
    this.button = button;
    this.banner = document.getElementById("soundless");
    this.wanted = button !== null && sessionStorage.getItem(OFF) === null;
    this.waiting = new Map();
    this.muted = new Set(JSON.parse(sessionStorage.getItem(MUTED) ?? "[]")); // a page that is opened does not begin again with what was muted
    this.lost = false;
    this.turns = 0;
    this.tones = new Set();
    this.moved = -1;
    this.stuck = false;
    if (!button) return;
    button.addEventListener("click", () => this.toggle());
    for (const gesture of ["click", "keydown"]) addEventListener(gesture, (event) => this.gesture(event), true);
    setInterval(() => this.play(), EVERY);
    if (this.wanted) this.start();
    this.show();
  }

  get state() {
    if (!this.wanted) return "off";
    if (this.context?.state !== "running" || this.stuck) return "blocked";
    return this.waiting.size && !this.loud().length ? "muted" : "on";
  }

  gesture(event) {
    if (!this.wanted || this.context?.state === "running" || event.target.closest?.("#sound") || event.key === "s") return;
    this.start(true);
  }

  // what is asked for without a gesture is answered when there is one: nobody waits for it
  start(heard = false) {
    if (!this.context) {
      this.context = new AudioContext();
      this.context.onstatechange = () => { this.show(); this.play(); };
    }
    this.context.resume().then(() => { if (heard) this.note(660, this.context.currentTime + 0.02, 0.08); this.show(); }, () => this.show());
  }

  toggle() {
    if (this.wanted && this.context?.state === "running" && this.state !== "muted") {
      this.wanted = false;
      sessionStorage.setItem(OFF, "1");
      this.context.suspend();
    } else {
      this.wanted = true;
      sessionStorage.removeItem(OFF);
      this.muted.clear();
      this.keep();
      this.start(true);
    }
    this.show();
  }

  keep() { sessionStorage.setItem(MUTED, JSON.stringify([...this.muted])); }

  mute() { for (const id of this.waiting.keys()) this.muted.add(id); this.keep(); this.hush(); this.show(); }

  // what was begun is over at once
  hush() { for (const tone of this.tones) tone.stop(); }

  set(alarms) {
    const fresh = [...alarms.keys()].some((id) => !this.waiting.has(id));
    this.waiting = alarms;
    for (const id of this.muted) if (!alarms.has(id)) this.muted.delete(id);
    this.keep();
    if (fresh) this.play();
    this.show();
  }

  loud() { return [...this.waiting].filter(([id]) => !this.muted.has(id)).map(([, kind]) => kind); }

  // a context whose time stands still plays nothing, whatever it says of its state
  watch() {
    const time = this.context?.state === "running" ? this.context.currentTime : -1;
    const now = performance.now();
    if (this.watched === undefined || now - this.watched > EVERY / 2) {
      this.stuck = time >= 0 && time === this.moved;
      this.moved = time;
      this.watched = now;
    }
  }

  play() {
    this.watch();
    this.show();
    const kinds = this.loud();
    if (!this.wanted || this.context?.state !== "running") return;
    // a low tone now and then while the page is blind: somebody may look elsewhere
    if (this.lost && this.turns++ % 4 === 0) this.note(200, this.context.currentTime + 0.02);
    if (this.state !== "on" || !kinds.length) return;
    const notes = kinds.includes("urgent") ? [[880, 0], [620, 0.28], [880, 0.56], [620, 0.84], [880, 1.12]] : [[520, 0], [520, 0.35]];
    for (const [pitch, after] of notes) this.note(pitch, this.context.currentTime + 0.02 + after);
  }

  note(pitch, at, loud = 0.22) {
    const tone = this.context.createOscillator();
    const gain = this.context.createGain();
    tone.type = "square";
    tone.frequency.value = pitch;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(loud, at + 0.02);
    gain.gain.setValueAtTime(loud, at + 0.2);
    gain.gain.linearRampToValueAtTime(0, at + 0.25);
    tone.connect(gain).connect(this.context.destination);
    tone.onended = () => this.tones.delete(tone);
    this.tones.add(tone);
    tone.start(at);
    tone.stop(at + 0.27);
  }

  show() {
    const { button, state } = this;
    if (!button || button.dataset.shown === state) return;
    button.dataset.shown = state;
    button.className = `sound ${state}`;
    button.setAttribute("aria-pressed", String(state === "on"));
    const english = document.createElement("span");
    english.lang = "en";
    english.className = "en";
    english.textContent = button.dataset[`${state}En`];
    button.replaceChildren(button.dataset[state] + " ", english);
    this.banner.hidden = state !== "off" && state !== "blocked";
    for (const part of this.banner.children) part.hidden = part.dataset.state !== state;
  }
}
