// Keeps the dashboard up to date: by server-sent events, and where they do not come, by asking.
// Only what has changed is put in place, so that focus, selection, scrolling and what was opened
// stay as they are.
"use strict";

(() => {
  const SILENT = 10; // seconds without a word after which the page says that it is not live
  const ASK = 5000; // milliseconds between two questions while no events come
  const AGAIN = 30000; // milliseconds until a closed stream is opened anew

  const dashboard = document.getElementById("dashboard");
  const live = document.getElementById("live");
  const icon = document.getElementById("icon");
  const known = new Map(); // a part's text, as it came last
  const titled = new WeakMap(); // the moment that a time's title tells
  let skew = 0; // seconds that the server's clock is ahead of ours
  let heard = performance.now();
  let title = document.title;
  let etag = "";
  let timer = 0;
  let stream = null;

  // --- putting in place ------------------------------------------------------------------

  const key = (node) => (node.nodeType === 1 ? node.dataset.key || node.id || "" : "");
  const alike = (a, b) => a.nodeName === b.nodeName && key(a) === key(b);

  function morph(old, made) {
    if (old.nodeType !== 1) {
      if (old.data !== made.data) old.data = made.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      const mine = name === "open" || name === "title";
      if (!mine && !made.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of [...made.attributes]) {
      if (name === "open" && old.nodeName === "DETAILS") continue; // that is the reader's
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (old.nodeName === "TIME") return tick(old);
    const keyed = new Map();
    for (const child of old.children) if (key(child)) keyed.set(key(child), child);
    let place = old.firstChild;
    for (const child of [...made.childNodes]) {
      const name = key(child);
      let match = name ? keyed.get(name) : null;
      if (match && !alike(match, child)) match = null;
      if (!match && !name && place && !key(place) && alike(place, child)) match = place;
      if (!match) {
        old.insertBefore(document.importNode(child, true), place);
        continue;
      }
      if (match === place) place = place.nextSibling;
      else old.insertBefore(match, place);
      morph(match, child);
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function put(name, text) {
    if (known.get(name) === text) return;
    const made = new DOMParser().parseFromString(text, "text/html").getElementById(name);
    const old = document.getElementById(name);
    if (!made || !old) return;
    known.set(name, text);
    morph(old, made);
  }

  function show(news) {
    title = news.title;
    hear();
    skew = news.time - Date.now() / 1000;
    for (const [name, text] of Object.entries(news.parts)) put(name, text);
    const href = `assets/${news.level}.svg`;
    if (icon.getAttribute("href") !== href) icon.setAttribute("href", href);
    dashboard.dataset.version = news.version;
    etag = news.etag;
    ages();
  }

  // --- times -----------------------------------------------------------------------------

  function span(seconds) {
    const s = Math.max(0, Math.floor(seconds));
    if (s < 60) return `${s} s`;
    const m = Math.floor(s / 60);
    if (m < 60) return m < 10 ? `${m} min ${s % 60} s` : `${m} min`;
    const h = Math.floor(m / 60);
    if (h < 24) return m % 60 ? `${h} h ${m % 60} min` : `${h} h`;
    return h % 24 ? `${Math.floor(h / 24)} d ${h % 24} h` : `${Math.floor(h / 24)} d`;
  }

  function tick(node) {
    const { since, until } = node.dataset;
    const now = Date.now() / 1000 + skew;
    const ago = node.closest(".age") ? "" : " ago";
    const text = since === undefined
      ? until - now < 1 ? "now" : `in ${span(until - now)}`
      : `${span(now - since)}${ago}`;
    write(node, text);
    const moment = since ?? until;
    if (titled.get(node) === moment) return; // writing out a date is dear
    titled.set(node, moment);
    node.title = new Date(moment * 1000).toLocaleString();
  }

  const inside = (node) => {
    const chosen = getSelection();
    return chosen && !chosen.isCollapsed && chosen.containsNode(node, true);
  };

  function ages() {
    for (const node of dashboard.querySelectorAll("time")) if (!inside(node)) tick(node);
  }

  // --- hearing ---------------------------------------------------------------------------

  function hear() {
    heard = performance.now();
    say();
  }

  // The age stands beside the word that is read out: that would go on every second.
  function say() {
    const quiet = Math.floor((performance.now() - heard) / 1000);
    const lost = quiet >= SILENT;
    const [word, age] = live.children;
    write(word, lost ? "not live" : timer ? "live, asking" : "live");
    write(age, lost ? `: last update ${span(quiet)} ago` : "");
    live.classList.toggle("is-lost", lost);
    live.classList.toggle("is-live", !lost);
    document.body.classList.toggle("is-stale", lost);
    const shown = lost ? `not live · ${title}` : title;
    if (document.title !== shown) document.title = shown;
  }

  function write(node, text) {
    if (node.textContent !== text) node.textContent = text;
  }

  async function ask() {
    try {
      const headers = etag ? { "If-None-Match": `"${etag}"` } : {};
      const answer = await fetch("dashboard.html", { headers, cache: "no-store", signal: AbortSignal.timeout(ASK) });
      if (answer.status === 304) return hear();
      if (!answer.ok) return;
      const made = new DOMParser().parseFromString(await answer.text(), "text/html");
      const told = made.getElementById("told").dataset;
      const parts = {};
      for (const part of made.querySelectorAll("section[id]")) parts[part.id] = part.outerHTML;
      show({ ...told, time: Number(told.time), parts });
    } catch {
      // the next one may go through; until then the page says that it is not live
    }
  }

  function fallBack() {
    if (timer) return;
    timer = setInterval(ask, ASK);
    ask();
  }

  function listen() {
    stream = new EventSource("events");
    stream.addEventListener("parts", (news) => {
      clearInterval(timer);
      timer = 0;
      show(JSON.parse(news.data));
    });
    stream.addEventListener("beat", hear);
    stream.onerror = () => {
      fallBack();
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
    };
  }

  skew = Number(document.getElementById("told").dataset.time) - Date.now() / 1000;
  etag = document.getElementById("told").dataset.etag;
  setInterval(() => { say(); if (!document.hidden) ages(); }, 1000);
  addEventListener("visibilitychange", ages);
  addEventListener("pagehide", () => stream.close());
  addEventListener("pageshow", (event) => { if (event.persisted) listen(); });
  ages();
  say();
  listen();
})();
