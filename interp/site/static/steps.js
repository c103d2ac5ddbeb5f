(() => {
  "use strict";
  const part = document.getElementById("steps");
  const range = document.getElementById("moment");
  const said = part.querySelector("output");
  const lists = [...part.querySelectorAll(".frames")].map((list) => [...list.children]);
  const play = part.querySelector('[data-go="play"]');
  const last = Number(range.max);
  let timer = 0;

  const show = (place) => {
    range.value = String(place);
    for (const list of lists) {
      list.forEach((item, k) => item.classList.toggle("now", k === place));
    }
    const name = lists[0][place].querySelector(".name").textContent;
    said.textContent = name;
    range.setAttribute("aria-valuetext", name);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.setAttribute("aria-pressed", "false");
    play.textContent = "Play";
  };
  const start = () => {
    if (Number(range.value) === last) show(0);
    timer = setInterval(() => {
      const next = Number(range.value) + 1;
      if (next > last) stop();
      else show(next);
    }, Math.max(80, Math.min(500, 6000 / (last + 1))));
    play.setAttribute("aria-pressed", "true");
    play.textContent = "Pause";
  };
  const go = {
    first: () => show(0),
    before: () => show(Math.max(0, Number(range.value) - 1)),
    next: () => show(Math.min(last, Number(range.value) + 1)),
    last: () => show(last),
  };

  range.addEventListener("input", () => { stop(); show(Number(range.value)); });
  for (const button of part.querySelectorAll("[data-go]")) {
    button.addEventListener("click", () => {
      if (button === play) {
        if (timer) stop(); else start();
        return;
      }
      stop();
      go[button.dataset.go]();
    });
  }
  // Hidden pictures are not loaded by themselves, and one that loads only when it is its turn would flicker.
  for (const image of part.querySelectorAll(".frames img")) image.loading = "eager";
  part.classList.add("sliding");
  part.querySelector(".control").hidden = false;
  show(last);
})();
