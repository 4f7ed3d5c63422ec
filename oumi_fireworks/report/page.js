"use strict";
(() => {
  const form = document.querySelector(".tools");
  if (!form) return;
  const input = form.querySelector("#search");
  const found = form.querySelector(".found");
  const nothing = document.querySelector(".nothing");
  const rows = [...document.querySelectorAll(".sample > li")].map((element) => {
    const parts = [...element.querySelectorAll(".talk .text, .talk .find")];
    return {
      element,
      parts,
      hit: element.querySelector(".hit"),
      texts: parts.map((part) => part.textContent.toLowerCase()),
    };
  });
  const highlights = "highlights" in CSS ? new Highlight() : null;
  if (highlights) CSS.highlights.set("found", highlights);

  // One place for what the reader asked for; everything on the page follows from it.
  const update = () => {
    const wanted = input.value.trim().toLowerCase();
    const kind = form.elements.kind.value;
    let count = 0;
    highlights?.clear();
    for (const row of rows) {
      const place = wanted ? row.texts.findIndex((text) => text.includes(wanted)) : -1;
      const show = (!wanted || place >= 0) && (!kind || row.element.dataset.kind === kind);
      row.element.hidden = !show;
      row.hit.hidden = !(show && wanted);
      if (!show) continue;
      count += 1;
      if (wanted) quote(row, place, wanted);
    }
    nothing.hidden = count > 0;
    found.textContent =
      count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
  };

  // Below a row, the words around what was found in it.
  const quote = (row, place, wanted) => {
    const text = row.parts[place].textContent;
    const at = row.texts[place].indexOf(wanted);
    const from = Math.max(0, at - 60);
    const to = Math.min(text.length, at + wanted.length + 100);
    const words = text.slice(from, to).replace(/^[\udc00-\udfff]|[\ud800-\udbff]$/g, "");
    row.hit.textContent = (from > 0 ? "…" : "") + words + (to < text.length ? "…" : "");
    mark(row.hit, wanted);
    if (row.element.querySelector("details").open) row.parts.forEach((part) => mark(part, wanted));
  };

  const mark = (element, wanted) => {
    if (!highlights || highlights.size > 2000) return;
    const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.data.toLowerCase();
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        if (at + wanted.length > walker.currentNode.length) break;
        const range = new Range();
        range.setStart(walker.currentNode, at);
        range.setEnd(walker.currentNode, at + wanted.length);
        highlights.add(range);
      }
    }
  };

  // A link to a row shows it whatever was searched for, and opens it.
  const follow = () => {
    const row = rows.find(({ element }) => `#${element.id}` === location.hash);
    if (!row) return;
    if (row.element.hidden) {
      form.reset();
      update();
    }
    row.element.querySelector("details").open = true;
    row.element.scrollIntoView({ block: "start" });
    row.element.querySelector("summary").focus({ preventScroll: true });
  };

  document.documentElement.classList.add("live");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", update);
  for (const { element } of rows) element.addEventListener("toggle", update, { capture: true });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=radio]), textarea");
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    input.focus();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#row-']");
    if (link && link.hash === location.hash) follow(); // the same link again
    const button = event.target.closest(".unfold");
    if (!button) return;
    const open = button.previousElementSibling.classList.toggle("unfolded");
    button.setAttribute("aria-expanded", String(open));
    button.textContent = open ? "Show less" : "Show more";
  });
  window.addEventListener("hashchange", follow);
  update();
  follow();
})();
