// The alarm's sound. A browser lets a page sound only after a gesture, so its state is always shown, and loudly where there is no sound.
const EVERY = 2400;

export class Sound {
  constructor(button) {
    this.button = button;
    this.wanted = false;
    this.waiting = new Map();
    this.muted = new Set();
    this.lost = false;
    this.turns = 0;
    button?.addEventListener("click", () => this.toggle());
    if (button) setInterval(() => this.play(), EVERY);
    this.show();
  }

  get state() {
    if (!this.wanted) return "off";
    if (this.context?.state !== "running") return "blocked";
    return this.waiting.size && !this.loud().length ? "muted" : "on";
  }

  async toggle() {
    if (this.wanted && this.context?.state === "running" && this.state !== "muted") this.wanted = false;
    else {
      this.wanted = true;
      this.muted.clear();
      this.context ??= new AudioContext();
      this.context.onstatechange = () => this.show();
      await this.context.resume().catch(() => {});
      this.play();
    }
    this.show();
  }

  mute() { for (const id of this.waiting.keys()) this.muted.add(id); this.show(); }

  set(alarms) {
    const fresh = [...alarms.keys()].some((id) => !this.waiting.has(id));
    this.waiting = alarms;
    for (const id of this.muted) if (!alarms.has(id)) this.muted.delete(id);
    if (fresh) this.play();
    this.show();
  }

  loud() { return [...this.waiting].filter(([id]) => !this.muted.has(id)).map(([, kind]) => kind); }

  play() {
    this.show();
    const kinds = this.loud();
    if (!this.wanted || this.context?.state !== "running") return;
    // a low tone now and then while the page is blind: somebody may look elsewhere
    if (this.lost && this.turns++ % 4 === 0) this.note(200, this.context.currentTime + 0.02);
    if (this.state !== "on" || !kinds.length) return;
    const notes = kinds.includes("urgent") ? [[880, 0], [620, 0.28], [880, 0.56], [620, 0.84], [880, 1.12]] : [[520, 0], [520, 0.35]];
    for (const [pitch, after] of notes) this.note(pitch, this.context.currentTime + 0.02 + after);
  }

  note(pitch, at) {
    const tone = this.context.createOscillator();
    const gain = this.context.createGain();
    tone.type = "square";
    tone.frequency.value = pitch;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(0.22, at + 0.02);
    gain.gain.setValueAtTime(0.22, at + 0.2);
    gain.gain.linearRampToValueAtTime(0, at + 0.25);
    tone.connect(gain).connect(this.context.destination);
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
  }
}
