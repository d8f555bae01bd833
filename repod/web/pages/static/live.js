// What the pages do beyond what they show without this file: times that move on, buttons that copy,
// and parts that are loaded again when something happens.
"use strict";

const SETTLE = 400; // ms: a burst of events is one load
const TICK = 30000;
const DAY = 86400;
const MONTH = (DAY * 365.2425) / 12;
// Up to which length each unit is used, and its own; as words.py has them.
const units = [
  [60, "second", 1], [3600, "minute", 60], [DAY, "hour", 3600],
  [60 * DAY, "day", DAY], [24 * MONTH, "month", MONTH], [Infinity, "year", 12 * MONTH],
];

function ago(seconds) {
  const length = Math.abs(seconds);
  if (length < 5) return "just now";
  const [, unit, step] = units.find(([end]) => length < end);
  const number = Math.floor(length / step);
  const text = `${number.toLocaleString("en")} ${unit}${number === 1 ? "" : "s"}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}

// How far this machine's clock is ahead of the server's, as far as is known: that one counts.
let ahead = 0;

function setClock(page) {
  ahead = Date.now() - Date.parse(page.querySelector("time[data-fixed]").dateTime);
}

function moveTimes() {
  for (const time of document.querySelectorAll("time:not([data-fixed])")) {
    time.textContent = ago((Date.now() - ahead - Date.parse(time.dateTime)) / 1000);
  }
}

function say(text) {
  document.getElementById("live").textContent = text;
}

function offerCopies(root) {
  for (const block of root.querySelectorAll("[data-copy]")) {
    const box = document.createElement("div");
    const button = document.createElement("button");
    box.className = "copied";
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(block.textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    block.replaceWith(box);
    box.append(block, button);
  }
}

let loading = false;

// The parts of this page that are marked as live, as the server shows them now.
async function reload() {
  if (loading) return;
  loading = true;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (!other || other.innerHTML === part.dataset.shown || part.contains(document.activeElement)) continue;
      if (part.dataset.shown === undefined && same(part, other)) continue;
      const kept = document.importNode(other, true);
      kept.dataset.shown = other.innerHTML;
      kept.classList.add("fresh");
      part.replaceWith(kept);
    }
    setClock(fresh);
    moveTimes();
  } finally {
    loading = false;
  }
}

// Whether two parts differ in their moving times only.
function same(part, other) {
  const plain = (node) => {
    const copy = node.cloneNode(true);
    for (const time of copy.querySelectorAll("time")) time.textContent = "";
    return copy.innerHTML;
  };
  return plain(part) === plain(other);
}

function listen() {
  const { events, kinds } = document.body.dataset;
  if (!document.querySelector("[data-live]")) return;
  let soon = 0;
  const hear = () => {
    clearTimeout(soon);
    soon = setTimeout(reload, SETTLE);
  };
  const source = new EventSource(events);
  source.addEventListener("open", () => say("Live"));
  source.addEventListener("error", () => say(source.readyState === EventSource.CLOSED ? "" : "Connecting again"));
  for (const kind of kinds.split(" ")) source.addEventListener(kind, hear);
}

setClock(document);
moveTimes();
setInterval(moveTimes, TICK);
offerCopies(document);
listen();
