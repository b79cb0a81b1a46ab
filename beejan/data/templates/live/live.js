// A click on a link with data-go asks for the parts that change; without a wire it is a plain link, and works as one.
(() => {
  const root = document.documentElement;
  let wire = null, asked = 0, answered = 0, slow = 0;

  function show(parts) {
    const focused = document.activeElement?.closest?.("[data-key]")?.dataset.key;
    for (const [key, text] of Object.entries(parts)) {
      const part = document.getElementById("part-" + key);
      if (!part) continue;
      const open = new Set([...part.querySelectorAll("details[open][id]")].map(d => d.id));
      const scrolled = [...part.querySelectorAll(".scroll")].map(d => [d.scrollTop, d.scrollLeft]);
      part.innerHTML = text;
      part.querySelectorAll("details[id]").forEach(d => { if (open.has(d.id)) d.open = true; });
      if (key !== "rows") part.querySelectorAll(".scroll").forEach((d, i) => { if (scrolled[i]) [d.scrollTop, d.scrollLeft] = scrolled[i]; });
      part.classList.remove("busy");
    }
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    drawer();
  }

  function drawer() {
    const box = document.querySelector(".drawer");
    if (box && !box.dataset.seen) { box.dataset.seen = "yes"; box.querySelector("h2")?.focus({ preventScroll: true }); }
    root.classList.toggle("with-drawer", Boolean(box));
  }

  function ask(search, push) {
    if (!wire) { location.search = search; return; }
    asked += 1;
    if (push) history.pushState({}, "", search === "?" ? location.pathname : search);
    clearTimeout(slow);
    slow = setTimeout(() => document.querySelectorAll(".part:not(.part-head)").forEach(p => p.classList.add("busy")), 400);
    wire.send_msg({ search, number: asked });
  }

  // called by the page's component when the socket is up
  window.beejanWire = model => {
    wire = model;
    root.dataset.live = "yes";
    model.on("msg:custom", message => {
      const { parts, number, title, words } = message;
      if (number && number < asked) return; // a newer question is on its way
      clearTimeout(slow);
      document.querySelectorAll(".busy").forEach(p => p.classList.remove("busy"));
      show(parts);
      if (title) document.title = title;
      if (words && number) document.getElementById("live-words").textContent = words;
      if (number) { answered = number; requestAnimationFrame(() => setTimeout(() => { root.dataset.answered = answered; root.dataset.painted = performance.now(); })); }
    });
    model.send_msg({ search: location.search || "?", number: 0 });
  };

  const plain = e => e.button === 0 && !e.ctrlKey && !e.metaKey && !e.shiftKey && !e.altKey;
  document.addEventListener("click", e => {
    const link = e.target.closest?.("a[data-go]");
    if (!link || !plain(e) || !wire) return;
    e.preventDefault();
    ask(link.getAttribute("href"), true);
  });
  addEventListener("popstate", () => ask(location.search || "?", false));
  document.addEventListener("keydown", e => {
    if (e.key === "Escape") document.querySelector(".drawer .close")?.click();
  });

  // one word of help beside the pointer
  const tip = document.querySelector(".tip");
  document.addEventListener("pointerover", e => {
    const over = e.target.closest?.("[data-tip]");
    tip.hidden = !over;
    if (over) tip.textContent = over.dataset.tip;
  });
  document.addEventListener("pointermove", e => {
    if (tip.hidden) return;
    const wide = tip.offsetWidth, high = tip.offsetHeight;
    tip.style.left = Math.max(8, Math.min(e.clientX + 14, innerWidth - wide - 8)) + "px";
    tip.style.top = (e.clientY + 18 + high > innerHeight ? e.clientY - high - 10 : e.clientY + 18) + "px";
  });
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true, capture: true });
  drawer();
})();
