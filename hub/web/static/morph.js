// Make what is shown like what the server drew, touching only what differs: focus, what is being typed and open details stay.
const KEPT = new Set(["disabled", "open"]);

function same(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName && (a.id ?? "") === (b.id ?? "");
}

function attributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
}

// An element that has to change its place loses the focus on the way: it gets it back. Where it is gone (a button that was pressed), what held it gets it.
export function morph(old, fresh) {
  let focused = document.activeElement;
  const held = old.contains(focused) ? focused.parentElement?.closest("[tabindex]") : null;
  children(old, fresh);
  if (held && !focused.isConnected) focused = held;
  if (focused !== document.activeElement && focused?.isConnected && (old.contains(focused) || focused === held)) focused.focus({ preventScroll: true });
}

function children(old, fresh) {
  const wantedIds = new Set([...fresh.children].map((child) => child.id).filter(Boolean));
  const named = new Map();
  for (const child of old.children) if (child.id) named.set(child.id, child);
  let place = old.firstChild;
  for (const wanted of [...fresh.childNodes]) {
    const mine = wanted.id ? named.get(wanted.id) : null;
    if (mine && mine.nodeName === wanted.nodeName) {
      // what stands before it and is not wanted goes, so that it need not move
      while (place && place !== mine && !(place.id && wantedIds.has(place.id))) {
        const next = place.nextSibling;
        place.remove();
        place = next;
      }
      if (mine !== place) old.insertBefore(mine, place);
      else place = place.nextSibling;
      into(mine, wanted);
    } else if (place && !wanted.id && !place.id && same(place, wanted)) {
      into(place, wanted);
      place = place.nextSibling;
    } else {
      old.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

export function into(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  if (old.hasAttribute("data-keep")) return;
  if (old.matches("time.since") && old.getAttribute("datetime") === fresh.getAttribute("datetime")) return;
  attributes(old, fresh);
  if (old.matches("input, textarea")) return;
  children(old, fresh);
}
