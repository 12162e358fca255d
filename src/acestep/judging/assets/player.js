// Players of a report. Each clip is one <audio> of the page; several players may show it.
// Clips of one prompt keep the place when one changes to another: that is how they are compared.
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  document.documentElement.classList.add("scripted");
  const players = [...document.querySelectorAll(".player")];
  const time = (seconds) =>
    `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  let current = null; // the player that was started last

  function show(player) {
    const { audio, button, here, clock } = player;
    const playing = current === player && !audio.paused;
    const share = audio.duration ? audio.currentTime / audio.duration : 0;
    player.box.classList.toggle("playing", playing);
    player.box.classList.toggle("moved", share > 0);
    button.setAttribute("aria-pressed", String(playing));
    here.style.left = `${100 * share}%`;
    const length = Number.isFinite(audio.duration) ? audio.duration : player.seconds;
    clock.textContent = `${time(audio.currentTime)} / ${time(length)}`;
  }

  function play(player) {
    const before = current;
    if (before && before !== player) {
      if (before.audio !== player.audio) before.audio.pause();
      if (before.row === player.row && before.running) {
        player.audio.currentTime = Math.min(before.audio.currentTime, player.seconds - 0.05);
      }
      before.running = false;
    }
    current = player;
    player.running = true;
    player.audio.play().catch(() => {}); // paused before it began: that is no error
    if (before) show(before);
  }

  function toggle(player) {
    if (current === player && !player.audio.paused) {
      player.audio.pause();
      player.running = false;
    } else {
      play(player);
    }
  }

  function seek(player, seconds) {
    player.audio.currentTime = Math.max(0, Math.min(seconds, player.seconds - 0.05));
    show(player);
  }

  for (const box of players) {
    const player = {
      box,
      audio: document.getElementById(box.dataset.clip),
      button: box.querySelector("button"),
      here: box.querySelector(".here"),
      clock: box.querySelector(".clock"),
      row: box.dataset.row,
      seconds: Number(box.dataset.seconds),
      running: false,
    };
    show(player);
    player.button.addEventListener("click", () => toggle(player));
    player.button.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      seek(player, player.audio.currentTime + step);
    });
    box.querySelector(".picture").addEventListener("click", (event) => {
      const area = event.currentTarget.getBoundingClientRect();
      seek(player, ((event.clientX - area.left) / area.width) * player.seconds);
      if (player.audio.paused || current !== player) {
        player.running = true;
        if (current && current !== player) current.running = false;
        play(player);
      }
    });
    for (const name of ["timeupdate", "pause", "play", "loadedmetadata"]) {
      player.audio.addEventListener(name, () => show(player));
    }
    player.audio.addEventListener("ended", () => {
      player.running = false;
      show(player);
    });
  }
});
