// The console by keyboard. No single key acts on an alarm: `a` only moves to the button, Enter presses it.
const PAGES = { 1: "/console/", 2: "/console/alarms", 3: "/console/institutions", 4: "/console/duty", 5: "/console/drills",
  6: "/console/proofs", 7: "/console/tests", 8: "/console/maintenance", 9: "/console/noise" };

export function keys({ sound }) {
  const dialog = document.getElementById("keys");
  const open = () => { if (!dialog.open) dialog.showModal(); };
  document.getElementById("keys-open")?.addEventListener("click", open);

  const cards = () => [...document.querySelectorAll("article.alarm")];
  const current = () => document.activeElement?.closest("article.alarm");

  function move(by) {
    const all = cards();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function toAcknowledge() {
    // on an alarm: its own button, and no other's where somebody has it already
    const button = (current() ?? document).querySelector("form.acknowledge button");
    button?.focus();
    button?.scrollIntoView({ block: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.target.closest("input, textarea, select")) return;
    const card = event.target.matches?.("article.alarm") ? event.target : null;
    const does = {
      j: () => move(1), ArrowDown: () => cards().length && move(1),
      k: () => move(-1), ArrowUp: () => cards().length && move(-1),
      a: toAcknowledge, s: () => sound.toggle(), m: () => sound.mute(), "?": open,
    }[event.key];
    if (event.key === "Enter" && card) { event.preventDefault(); location.assign(card.dataset.href); return; }
    if (PAGES[event.key]) { location.assign(PAGES[event.key]); return; }
    if (does) { event.preventDefault(); does(); }
  });
}
