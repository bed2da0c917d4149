// The connection to the hub, and the banner when what is shown may be old. Silence is a loss: a hub that lives beats, and the page says how often.
const SILENCE = 3000 * Number(document.body.dataset.beat);
const RETRY = 2000;

export class Live {
  constructor({ kinds, changed, opened, beat, lost }) {
    this.kinds = kinds;
    this.changed = changed;
    this.opened = opened;
    this.onBeat = beat;
    this.onLost = lost;
    this.last = "";
    this.heardAt = Date.now();
    this.reasons = new Map(); // why what is shown may be old → since when
    this.banner = document.getElementById("lost");
    this.pulse = document.getElementById("pulse");
    this.up = false;
    this.ended = false;
  }


  open() {
    if (this.ended) return;
    this.source?.close();
    clearTimeout(this.retry);
    const source = new EventSource("/console/events" + (this.last ? `?after=${encodeURIComponent(this.last)}` : ""));
    this.source = source;
    source.onerror = () => {
      if (source !== this.source) return;
      this.up = false;
      this.lose("network");
      // a stream that was refused is not tried again by the browser; a look tells whether the login is over
      if (source.readyState === EventSource.CLOSED) { this.again(); this.opened(); }
    };
    source.addEventListener("beat", (event) => { this.heard(); this.judge(JSON.parse(event.data)); });
    for (const name of ["resync", "unstored"]) source.addEventListener(name, (event) => { this.heard(event); this.opened(); });
    for (const kind of this.kinds) {
      source.addEventListener(kind, (event) => { this.heard(event); this.changed(kind, JSON.parse(event.data).data); });
    }
    if (this.watch) return;
    this.watch = setInterval(() => this.look(), 1000);
    for (const name of ["online", "offline", "pageshow", "focus"]) addEventListener(name, () => this.look());
    document.addEventListener("visibilitychange", () => this.look());
  }

  again() { clearTimeout(this.retry); this.retry = setTimeout(() => this.open(), RETRY); }

  heard(event) {
    if (event?.lastEventId) this.last = event.lastEventId;
    this.heardAt = Date.now();
    if (!this.up) { this.up = true; this.find("network"); this.opened(); }
  }

  // timers stop while a machine sleeps, so the clock is asked and not the timer
  look() {
    if (this.ended) return;
    if (!navigator.onLine && this.up) { this.up = false; this.lose("network"); }
    if (Date.now() - this.heardAt > SILENCE) {
      this.up = false;
      this.lose("network");
      this.heardAt = Date.now() - SILENCE + RETRY * 2;
      this.open();
      this.opened(); // a stream that does not come up keeps nobody from looking
    }
  }

  judge({ now, blind }) {
    this.onBeat(now);
    // the database may be away for the look of this page, too: then that is why
    if (blind.includes("database")) this.lose("database"); else this.find("database");
    if (blind.length) { this.lose("hub"); document.getElementById("lost-parts").textContent = `(${blind.join(", ")})`; }
    else { this.find("hub"); document.getElementById("lost-parts").textContent = ""; }
  }

  seen(what) { this.find(what); }
  unseen(what) { this.lose(what); }
  over() { this.ended = true; this.source?.close(); this.up = false; this.reasons.clear(); this.lose("login"); }

  lose(why) { if (!this.reasons.has(why)) this.reasons.set(why, why === "network" ? Math.min(this.heardAt, Date.now()) : Date.now()); this.show(); }
  find(why) { this.reasons.delete(why); this.show(); }

  show() {
    const order = [["login", "login"], ["network", "network"], ["database", "database"], ["look", "network"], ["wait", "network"], ["hub", "hub"]];
    const why = order.find(([reason]) => this.reasons.has(reason))?.[1] ?? "";
    const lost = why !== "";
    this.banner.hidden = !lost;
    document.body.classList.toggle("stale", lost);
    this.onLost(lost);
    for (const part of this.banner.querySelectorAll("[data-why]")) part.hidden = part.dataset.why !== why;
    if (lost) {
      const since = Math.min(...this.reasons.values());
      document.getElementById("lost-since").textContent = new Date(since).toLocaleTimeString("zh-CN", { hour12: false, timeZone: "Asia/Shanghai" });
      this.since = since;
    }
    document.title = (lost ? "⚠ " : "") + document.title.replace(/^⚠ /, "");
    this.pulse.className = `pulse ${lost ? "down" : this.up ? "live" : "connecting"}`;
    this.pulse.textContent = this.up && !lost ? this.pulse.dataset.live : lost ? "" : this.pulse.dataset.connecting;
  }
}
