// Draws the plots in the colours of the page's theme, switches the theme, opens the tables for a printer.
(() => {
  const root = document.documentElement, media = matchMedia("(prefers-color-scheme: dark)");
  const button = document.querySelector("[data-switch]");
  const twins = JSON.parse(document.getElementById("twins")?.textContent || "{}");
  const plots = [...document.querySelectorAll(".plot")].map(el => ({ host: el.firstElementChild, text: el.querySelector("script").textContent }));
  const mode = () => root.dataset.theme || (media.matches ? "dark" : "light");
  const tinted = text => mode() === "dark" ? text.replace(/#[0-9a-f]{6}\b/gi, c => twins[c.toLowerCase()] || c) : text;

  if (plots.length) Bokeh.logger.set_level("error");

  async function draw() {
    const now = mode();
    if (button) {
      button.querySelector("span").textContent = now === "dark" ? "Light" : "Dark";
      button.setAttribute("aria-label", now === "dark" ? "Switch to the light page" : "Switch to the dark page");
    }
    if (root.dataset.drawn === now) return;
    root.dataset.drawn = now;
    for (const plot of plots) {
      plot.views?.clear?.();
      plot.host.replaceChildren();
      plot.views = await Bokeh.embed.embed_item(JSON.parse(tinted(plot.text)), plot.host.id);
    }
    root.dataset.ready = now;
  }
  button?.addEventListener("click", () => {
    root.dataset.theme = mode() === "dark" ? "light" : "dark";
    try { localStorage.setItem("beejan-theme", root.dataset.theme); } catch {}
    draw();
  });
  media.addEventListener("change", draw);

  // "?" closes when the reader goes elsewhere
  const closeWhys = except => document.querySelectorAll(".why[open]").forEach(d => { if (d !== except) d.open = false; });
  document.addEventListener("click", e => closeWhys(e.target.closest?.(".why")));
  document.addEventListener("keydown", e => { if (e.key === "Escape") closeWhys(); });

  // paper cannot be clicked: tables are opened, and each plot leaves a picture that fits any sheet
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details.behind:not([open])")];
    opened.forEach(d => { d.open = true; });
    for (const plot of plots) {
      for (const view of plot.views ?? []) {
        const picture = view.export("png").canvas;
        if (!picture.height) continue; // not the plot itself
        picture.style.width = `${plot.host.clientWidth}px`;
        picture.className = "on-paper";
        plot.host.after(picture);
      }
    }
  });
  addEventListener("afterprint", () => {
    opened.forEach(d => { d.open = false; });
    document.querySelectorAll(".on-paper").forEach(c => c.remove());
  });
  draw();
})();
