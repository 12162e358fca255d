// A blind listening test. Votes are kept in the browser until they are exported.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const place = document.getElementById("test");
  const said = document.getElementById("said");
  const memory = `acestep-blind-test-${content.test}`;
  const ENOUGH = 1; // seconds, or half of a shorter clip: what must be heard of each side
  let votes = recall(); // [{pair, choice: "a" | "b" | "same", seconds}]
  let state = null; // of the pair in sight
  let heard = null; // the sound that plays or paused last

  // ------------------------------------------------------------------ small things

  function recall() {
    try {
      const kept = JSON.parse(localStorage.getItem(memory) || "[]");
      const fits = (vote, place) => vote.pair === content.pairs[place]?.pair;
      return Array.isArray(kept) && kept.every(fits) ? kept : [];
    } catch {
      return []; // no storage here, or not ours
    }
  }

  function remember() {
    try {
      localStorage.setItem(memory, JSON.stringify(votes));
    } catch {
      // A browser that keeps nothing: the votes live as long as the page
    }
  }

  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  const key = (name) => make("kbd", { "aria-hidden": "true" }, name);
  const button = (text, name, action, kind = "") => {
    const made = make("button", { type: "button", className: kind, onclick: action }, text);
    if (name) made.append(key(name));
    return made;
  };

  // FNV-1a, as the program that wrote this page computes it
  function isB(pair) {
    let hash = 2166136261;
    for (const letter of `${content.test}:${pair.pair}`) {
      hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619) >>> 0;
    }
    return ((hash >>> 16) & 1) !== pair.key;
  }

  // Two-sided exact binomial test of one half
  function probability(hits, total) {
    let term = 0.5 ** total;
    let tail = 0;
    for (let k = 0; k <= Math.min(hits, total - hits); k += 1) {
      tail += term;
      term *= (total - k) / (k + 1);
    }
    return Math.min(1, 2 * tail);
  }

  function count() {
    const result = { adapter: 0, base: 0, same: 0 };
    votes.forEach((vote, number) => {
      const adapter = isB(content.pairs[number]) ? "b" : "a";
      if (vote.choice === "same") result.same += 1;
      else if (vote.choice === adapter) result.adapter += 1;
      else result.base += 1;
    });
    return { ...result, p: probability(result.adapter, result.adapter + result.base) };
  }

  // ------------------------------------------------------------------ sounds

  function sound(source, label, row) {
    const audio = new Audio(source);
    audio.setAttribute("aria-label", label);
    audio.preload = "auto";
    return { audio, row, listened: 0, last: 0, button: null, bar: null };
  }

  function follow(one) {
    one.audio.addEventListener("timeupdate", () => {
      const step = one.audio.currentTime - one.last;
      if (step > 0 && step < 1) one.listened += step;
      one.last = one.audio.currentTime;
      if (one.bar) one.bar.style.width = `${(100 * one.last) / (one.audio.duration || 1)}%`;
      offer();
    });
    for (const name of ["play", "pause", "ended", "loadedmetadata"]) {
      one.audio.addEventListener(name, () => {
        one.button?.setAttribute("aria-pressed", String(!one.audio.paused && !one.audio.ended));
        offer();
      });
    }
    return one;
  }

  function play(one, fromStart = false) {
    if (heard && heard !== one) {
      const running = !heard.audio.paused;
      heard.audio.pause();
      // A and B keep the place, so that the same moment can be compared
      if (running && heard.row === one.row && one.row === "pair") {
        one.audio.currentTime = heard.audio.currentTime;
      }
    } else if (heard === one && !one.audio.paused && !fromStart) {
      one.audio.pause();
      return;
    }
    if (fromStart || one.audio.ended) one.audio.currentTime = 0;
    one.last = one.audio.currentTime;
    heard = one;
    one.audio.play().catch(() => {}); // paused before it began: that is no error
  }

  const enough = (one) =>
    one.audio.ended || one.listened >= Math.min(ENOUGH, (one.audio.duration || Infinity) / 2);

  // ------------------------------------------------------------------ what is seen

  function show(...elements) {
    if (heard) heard.audio.pause();
    heard = null;
    place.replaceChildren(...elements);
    const title = place.querySelector("h2");
    if (!state && !place.dataset.done) return; // the first sight of the page: focus stays
    title.tabIndex = -1;
    title.focus();
  }

  const songs = content.songs.map((song) =>
    follow(sound(song.audio, `Your song ${song.name}`, "songs")),
  );

  function keys() {
    const rows = [["1", "play or pause A"], ["2", "play or pause B, from the same moment"]];
    songs.forEach((_, number) => rows.push([String(number + 3), `your song ${number + 1}`]));
    rows.push(["Space", "pause, go on"], ["R", "again from the start"]);
    rows.push(["A", "A sounds more like your songs"], ["B", "B does"], ["N", "no preference"]);
    rows.push(["Backspace", "back to the pair before"]);
    const list = make("dl", { className: "keys" });
    for (const [name, text] of rows) list.append(make("dt", {}, key(name)), make("dd", {}, text));
    return list;
  }

  function introduce() {
    state = null;
    delete place.dataset.done;
    const left = content.pairs.length - votes.length;
    const go = left ? `Go on with pair ${votes.length + 1}` : "See the result";
    const begin = votes.length ? go : "Start";
    show(
      make("p", {}, `${content.pairs.length} pairs of clips. In each, one was made with your ` +
        "adapter and one without it, from the same words and the same noise, equally loud. " +
        "Which is which is drawn by chance for each pair, and said at the end."),
      make("p", {}, "Use headphones if you have them. Listen to both, as often as you like, then " +
        "vote. If you hear no difference, say so: that is a result too."),
      button(begin, "Enter", next, "main"),
      make("h2", {}, "Keys"),
      keys(),
    );
  }

  function next() {
    if (votes.length === content.pairs.length) finish();
    else ask(votes.length);
  }

  function ask(number) {
    const pair = content.pairs[number];
    const sides = ["a", "b"].map((side) =>
      follow(sound(pair[side], `Pair ${number + 1}, clip ${side.toUpperCase()}`, "pair")),
    );
    state = { number, sides, began: Date.now(), hint: make("p", { className: "hint" }) };
    const columns = sides.map((one, index) => {
      const letter = "AB"[index];
      one.button = button(`▶ ${letter}`, String(index + 1), () => play(one), "play");
      one.button.setAttribute("aria-label", `Play ${letter}`);
      one.button.setAttribute("aria-pressed", "false");
      one.bar = make("i");
      one.vote = button(`${letter} is nearer`, letter, () => vote(letter.toLowerCase()));
      const bar = make("div", { className: "bar", "aria-hidden": "true" }, one.bar);
      return make("div", { className: "side" }, one.button, bar, one.vote);
    });
    state.same = button("No preference", "N", () => vote("same"));
    const shelf = make("div", { className: "songs" });
    songs.forEach((one, index) => {
      one.button = button(`♪ ${content.songs[index].name}`, String(index + 3), () => play(one));
      one.button.setAttribute("aria-label", `Play your song ${content.songs[index].name}`);
      one.button.setAttribute("aria-pressed", "false");
      shelf.append(one.button);
    });
    const back = button("Back", "⌫", undo);
    back.disabled = number === 0;
    const title = `Pair ${number + 1} of ${content.pairs.length}`;
    show(
      make("h2", {}, title),
      make("progress", { max: content.pairs.length, value: number, "aria-label": title }),
      ...(pair.caption ? [make("blockquote", { dir: "auto" }, pair.caption)] : []),
      make("div", { className: "sides" }, ...columns),
      make("div", { className: "more" }, state.same),
      state.hint,
      ...(songs.length ? [make("h3", {}, "To compare: your songs"), shelf] : []),
      make("div", { className: "more" }, back, button("Stop here and count", "", finish)),
      make("details", {}, make("summary", {}, "Keys"), keys()),
      ...sides.map((one) => one.audio),
    );
    said.textContent = title;
    offer();
  }

  function offer() {
    if (!state) return;
    const ready = state.sides.every(enough);
    for (const control of [...state.sides.map((one) => one.vote), state.same]) {
      control.disabled = !ready;
    }
    if (ready) state.hint.textContent = "";
  }

  function vote(choice) {
    if (!state.sides.every(enough)) {
      state.hint.textContent = "Listen to both first, a second at least.";
      said.textContent = state.hint.textContent;
      return;
    }
    const seconds = Math.round((Date.now() - state.began) / 100) / 10;
    votes.push({ pair: content.pairs[state.number].pair, choice, seconds });
    remember();
    next();
  }

  function undo() {
    if (votes.length === 0) return;
    votes.pop();
    remember();
    next();
  }

  function sentence(result) {
    const decided = result.adapter + result.base;
    if (decided === 0) return "You preferred neither in any pair: nothing can be said.";
    const p = result.p < 0.001 ? "p < 0.001" : `p =\u00a0${Number(result.p.toPrecision(3))}`;
    const found = `You preferred the adapter in ${result.adapter} of ${decided} decided pairs ` +
      `(${p}, exact two-sided binomial test)`;
    if (result.p < 0.05) {
      const which = result.adapter > result.base ? "nearer to your songs" : "farther from them";
      return `${found}: to you, it is ${which} than the base.`;
    }
    if (decided < 6) return `${found}. So few pairs cannot show a difference.`;
    return `${found}: that can be chance.`;
  }

  function finish() {
    state = null;
    place.dataset.done = "true";
    const result = count();
    const names = { a: "A", b: "B", same: "neither" };
    const rows = votes.map((one, number) => {
      const adapter = isB(content.pairs[number]) ? "B" : "A";
      const cells = [adapter, names[one.choice]].map((text) => make("td", {}, text));
      return make("tr", {}, make("th", { scope: "row" }, `Pair ${number + 1}`), ...cells);
    });
    const heads = ["", "the adapter was", "you chose"].map((text) =>
      make("th", { scope: "col" }, text),
    );
    const table = make("table", {},
      make("caption", {}, `${content.checkpoint} at strength ${content.strength} against the base`),
      make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
    show(
      make("h2", {}, "Your result"),
      make("p", { className: "result", id: "result" }, sentence(result)),
      button("Save votes.json", "Enter", save, "main"),
      make("p", {}),
      make("p", { className: "quiet" }, "With it, run “acestep evaluate … --votes votes.json”: " +
        "the report then counts what you heard."),
      make("div", { className: "wide", tabIndex: 0, role: "region", "aria-label": "Votes" }, table),
      button("Start over", "", () => { votes = []; remember(); introduce(); }),
    );
    said.textContent = sentence(result);
  }

  function save() {
    const record = {
      format: 1,
      test: content.test,
      run: content.run,
      question: content.question,
      made: new Date().toISOString(),
      votes,
      result: count(),
    };
    const file = new Blob([JSON.stringify(record, null, 2) + "\n"], { type: "application/json" });
    const link = make("a", { href: URL.createObjectURL(file), download: "votes.json" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  // ------------------------------------------------------------------ keys

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onControl = event.target.closest?.("button, summary, a");
    if ((event.key === "Enter" || event.key === " ") && onControl) return; // presses it
    if (event.key === "Enter") {
      if (!state) place.querySelector("button.main")?.click();
      return;
    }
    if (!state) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const digit = Number(name);
    const sounds = [...state.sides, ...songs];
    if (digit >= 1 && digit <= sounds.length) play(sounds[digit - 1]);
    else if (name === "a" || name === "b") vote(name);
    else if (name === "n") vote("same");
    else if (name === "r" && heard) play(heard, true);
    else if (name === " " && heard) play(heard);
    else if (name === "Backspace") undo();
    else return;
    event.preventDefault();
  });

  introduce();
});
