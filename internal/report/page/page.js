"use strict";
(() => {
  const step = 100;
  const form = document.getElementById("filters");
  const body = document.getElementById("rows");
  if (!form || !body) return;
  const rows = Array.from(body.rows);
  const count = document.getElementById("count");
  const paging = document.getElementById("paging");
  const texts = new Map();
  let limit = step;

  const textOf = (row) => {
    let text = texts.get(row);
    if (text === undefined) {
      text = row.textContent.toLowerCase();
      texts.set(row, text);
    }
    return text;
  };
  const number = (n) => n.toLocaleString("en");

  const apply = () => {
    const data = new FormData(form);
    const words = String(data.get("q") || "").toLowerCase().split(/\s+/).filter(Boolean);
    const boxes = form.elements.severity !== undefined;
    const severities = new Set(data.getAll("severity"));
    const road = data.get("road") || "";
    const namespace = data.get("namespace") || "";
    const bucket = data.get("bucket") || "";
    let matching = 0;
    for (const row of rows) {
      const d = row.dataset;
      const match = (!boxes || severities.has(d.s)) && (!road || d.r === road) &&
        (!namespace || d.n === namespace) && (!bucket || d.b === bucket) &&
        words.every((w) => textOf(row).includes(w));
      if (match) matching++;
      row.hidden = !match || matching > limit;
    }
    const shown = Math.min(matching, limit);
    count.textContent = (shown === matching ? number(matching) : number(shown) + " of " + number(matching)) +
      (matching === 1 ? " finding" : " findings") +
      (matching === rows.length ? "" : ", " + number(rows.length) + " without the filter");
    paging.hidden = shown === matching;
  };

  const refresh = () => { limit = step; apply(); };
  form.addEventListener("input", refresh);
  form.addEventListener("reset", () => setTimeout(refresh));
  form.addEventListener("submit", (e) => e.preventDefault());
  document.getElementById("some").addEventListener("click", () => { limit += step; apply(); });
  document.getElementById("all").addEventListener("click", () => { limit = Infinity; apply(); });

  // A link to a row must reach it, whatever is filtered away.
  const reveal = () => {
    const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!row || row.parentNode !== body) return;
    if (row.hidden) {
      form.reset();
      limit = Math.max(step, rows.indexOf(row) + 1);
      apply();
    }
    const why = row.querySelector("details");
    if (why) why.open = true;
    row.scrollIntoView({ block: "center" });
  };
  window.addEventListener("hashchange", reveal);

  for (const item of document.querySelectorAll(".command")) {
    if (!navigator.clipboard) break;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(item.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(item);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    item.after(button);
  }

  form.hidden = false;
  apply();
  reveal();
})();
