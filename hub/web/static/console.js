// The console in the browser. The server draws everything; this keeps it fresh, sounds, and sends what a person does.
// No word is made up here: the page carries them. What cannot be known is said to be unknown.
import { Live } from "./live.js";
import { Sound } from "./sound.js";
import { into, morph } from "./morph.js";
import { keys } from "./keys.js";

const live = document.getElementById("live");
const said = document.getElementById("said");
const told = document.getElementById("told");
// the whole board tells by itself; any other page, and the board of one institution, ask what waits elsewhere
const waiting = document.getElementById("board")?.dataset.whole ? null : document.getElementById("waiting");
const GAP = Number(live?.dataset.slow ?? 700);
const TIMEOUT = 10000;
const UPLOAD = 45000;
const GLANCE = 700; // how often a page that is not the board asks what waits, at most, in a flood
let skew = 0;
let connection = null;
let known = null;
let running = false;
let again = false;
let timer = 0;

for (const link of document.querySelectorAll(".top nav a")) {
  const here = link.dataset.page !== undefined && link.dataset.page === document.body.dataset.here;
  link.classList.toggle("here", here);
  if (here) { link.setAttribute("aria-current", "page"); link.closest(".menu")?.querySelector("summary").classList.add("here"); }
}

// one menu at a time; a click elsewhere or Escape closes it
const menus = [...document.querySelectorAll(".menu")];
const fold = (but) => { for (const menu of menus) if (menu !== but) menu.open = false; };
document.addEventListener("click", (event) => fold(event.target.closest(".menu")));
document.addEventListener("keydown", (event) => {
  const open = menus.find((menu) => menu.open);
  if (event.key === "Escape" && open) { fold(); open.querySelector("summary").focus(); }
});

function say(text, bad = false) {
  const line = document.createElement("p");
  line.textContent = text;
  line.classList.toggle("bad", bad);
  said.append(line);
  while (said.children.length > 3) said.firstChild.remove();
  setTimeout(() => line.remove(), bad ? 20000 : 8000);
}

function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  const days = Math.floor(whole / 86400);
  const clock = `${two(Math.floor(whole / 3600) % 24)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return days ? `${days}d ${clock}` : clock;
}

function tick() {
  const now = Date.now() + skew;
  const aged = document.getElementById("lost-age");
  if (aged && connection?.since) aged.textContent = age((Date.now() - connection.since) / 1000);
  for (const time of document.querySelectorAll("time.since")) {
    const text = age((now - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

const sound = new Sound(document.getElementById("sound"));

function sounding() {
  const found = new Map();
  for (const one of document.querySelectorAll("[data-sounds]")) found.set(one.dataset.alarm, one.dataset.sounds);
  return found;
}

function looked() {
  const board = document.getElementById("board");
  const at = live?.querySelector("[data-now]")?.dataset.now;
  if (at) skew = Date.parse(at) - Date.now();
  tick();
  if (board?.dataset.whole) waits(sounding(), Number(board.dataset.unowned));
}

// What wants somebody now, on whatever page one is: heard, counted in the title, read out where it is new.
function waits(now, count) {
  const fresh = known === null ? [] : [...now.keys()].filter((id) => !known.has(id));
  known = new Set(now.keys());
  sound.set(now);
  const [, mark, title] = document.title.match(/^(⚠ )?(?:\(\d+\) )?(.*)$/s);
  document.title = (mark ?? "") + (count ? `(${count}) ` : "") + title;
  if (waiting) {
    waiting.hidden = !count;
    waiting.querySelector("b").textContent = count;
    waiting.classList.toggle("urgent", [...now.values()].includes("urgent"));
  }
  if (fresh.length > 3 || (fresh.length && waiting)) told.textContent = `${fresh.length} ${said.dataset.new}`;
  else if (fresh.length) told.textContent = fresh.map((id) => document.getElementById(`t-${id}`)?.closest(".what")?.innerText ?? "").join("; ");
}

// The database is away, and what was drawn is what the standby knows: that comes to what is shown, and the rest stays as it was.
function overlay(fresh) {
  const board = document.getElementById("board");
  const list = document.getElementById("alarms");
  const found = [...fresh.querySelectorAll("article.alarm")];
  const named = new Set(found.map((one) => one.id));
  const wants = () => list.querySelectorAll("[data-sounds]").length;
  const before = wants();
  for (const one of list.querySelectorAll("[data-unstored]")) if (!named.has(one.id)) one.remove();
  for (const one of found.reverse()) {
    const mine = document.getElementById(one.id);
    if (mine) into(mine, one); else list.prepend(document.importNode(one, true));
  }
  board.dataset.now = fresh.dataset.now;
  board.dataset.unowned = Math.max(0, Number(board.dataset.unowned) + wants() - before);
  board.querySelector(".sum b").textContent = board.dataset.unowned;
}

// A finger is half a second behind the eye. What was meant for the alarm that stood there must not acknowledge the one that has come to stand there since.
const SETTLE = 600;
let layouts = []; // what stood where before each change of the last moment
function spots() {
  return [...document.querySelectorAll("article.alarm")].map((one) => {
    const { top, bottom } = one.getBoundingClientRect();
    return { id: one.id, top: Math.round(top + scrollY), bottom: Math.round(bottom + scrollY) };
  });
}

function redraw(draw) {
  const was = spots();
  draw();
  if (JSON.stringify(was) === JSON.stringify(spots())) return;
  layouts.push(was);
  document.body.classList.add("moving");
  setTimeout(() => { layouts.shift(); document.body.classList.toggle("moving", layouts.length > 0); }, SETTLE);
}

document.addEventListener("click", (event) => {
  const card = event.target.closest("form.acknowledge button")?.closest("article.alarm");
  if (!card || event.detail === 0) return; // by keyboard: the focus stays with its alarm
  if (!layouts.flat().some(({ id, top, bottom }) => id !== card.id && top <= event.pageY && event.pageY <= bottom)) return;
  event.preventDefault();
  say(said.dataset.shifted, true);
}, true);

// One look at a time; what comes meanwhile asks for one more. A flood of changes costs a look every GAP milliseconds.
async function refresh() {
  if (!live) return;
  if (running) { again = true; return; }
  running = true;
  again = false;
  clearTimeout(timer);
  try {
    const answer = await fetch(live.dataset.refresh, { headers: { "X-Console": "1" }, signal: AbortSignal.timeout(TIMEOUT), cache: "no-store" });
    if (answer.status === 401) { connection.over(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const part = fresh.getElementById("live") ?? fresh.body;
    const away = part.querySelector("[data-away]");
    const shown = document.getElementById("board");
    redraw(() => { if (away && shown && !shown.dataset.away) overlay(away); else morph(live, part); });
    looked();
    if (away) connection.lose("database");
    connection.seen("look");
    timer = setTimeout(refresh, away ? 2000 : 30000);
  } catch {
    connection.unseen("look");
    timer = setTimeout(refresh, 2000);
  } finally {
    running = false;
    if (again) setTimeout(refresh, GAP);
  }
}

let glancing = 0;
let heard = new Map(); // what waited when the database answered last
let hearing = 0;
async function glance() {
  if (!waiting) return;
  clearTimeout(glancing);
  try {
    const answer = await fetch("/console/waiting", { headers: { "X-Console": "1" }, signal: AbortSignal.timeout(TIMEOUT), cache: "no-store" });
    if (answer.status === 401) { connection.over(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const { total, alarms, away } = await answer.json();
    const now = new Map(Object.entries(alarms));
    if (!away) { heard = now; hearing = total; }
    const beside = [...now.keys()].filter((id) => !heard.has(id)).length;
    waits(away ? new Map([...heard, ...now]) : now, away ? hearing + beside : total);
    connection.seen("wait");
    glancing = setTimeout(glance, away ? 2000 : 30000);
  } catch {
    connection.unseen("wait");
    glancing = setTimeout(glance, 2000);
  }
}

let soon = 0;
let glanced = 0;
function changed(kind, data) {
  if (waiting && (kind === "alarm" || kind === "maintenance") && !glanced) glanced = setTimeout(() => { glanced = 0; glance(); }, GLANCE);
  if (!live?.dataset.kinds.split(" ").includes(kind)) return;
  if (live?.dataset.only && data.id !== live.dataset.only && data.alarm !== live.dataset.only) return;
  if (soon) return;
  soon = setTimeout(() => { soon = 0; refresh(); }, GAP);
}

connection = new Live({
  kinds: [...new Set(["alarm", "maintenance", ...(live?.dataset.kinds ?? "").split(" ").filter(Boolean)])],
  changed,
  opened: () => { refresh(); glance(); },
  lost: (is) => { sound.lost = is; queueMicrotask(tick); },
  beat: (now) => { skew = Date.parse(now) - Date.now(); },
});

// A picture that is larger than the hub takes is made smaller, which also takes away where it was taken. What is no picture goes as it is, and is refused.
async function lighten(form, sent) {
  for (const field of form.querySelectorAll("input[type=file][data-most]")) {
    const file = sent.get(field.name);
    if (!file?.size || file.size <= Number(field.dataset.most) || !file.type.startsWith("image/")) continue;
    const picture = await createImageBitmap(file).catch(() => null);
    if (!picture) continue;
    for (const side of [2000, 1400, 900]) {
      const by = Math.min(1, side / Math.max(picture.width, picture.height));
      const canvas = new OffscreenCanvas(Math.round(picture.width * by), Math.round(picture.height * by));
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      const light = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.8 });
      sent.set(field.name, light, file.name.replace(/\.[^.]*$/, "") + ".jpg");
      if (light.size <= Number(field.dataset.most)) break;
    }
  }
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.act) return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (button.disabled) return;
  const holder = document.activeElement === button ? button.closest("[tabindex]") : null;
  button.disabled = true; // which takes the focus away
  try {
    const sent = new FormData(form);
    const files = form.enctype === "multipart/form-data";
    if (files) await lighten(form, sent);
    const answer = await fetch(form.action, { method: "POST", body: files ? sent : new URLSearchParams(sent), headers: { "X-Console": "1" }, signal: AbortSignal.timeout(files ? UPLOAD : TIMEOUT) });
    if (answer.status === 401) { connection.over(); throw new Error("401"); }
    const words = await answer.json();
    say(`${words.zh} · ${words.en}`, !answer.ok);
    if (answer.ok && form.hasAttribute("data-go")) { location.assign(words.to); return; }
    if (answer.ok) form.reset();
  } catch {
    say(said.dataset.notsent, true);
  } finally {
    button.disabled = false;
    if (holder && document.activeElement === document.body) (button.isConnected ? button : holder).focus({ preventScroll: true });
    refresh();
  }
});

document.addEventListener("click", (event) => {
  if (event.target.closest("#mute")) sound.mute();
});

keys({ sound, refresh });
setInterval(tick, 1000);
looked();
connection.open();
glance();
