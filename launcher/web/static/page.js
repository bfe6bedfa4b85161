// What htmx does not do: asking before something is deleted, searching what is on the page already, asking once more
// when a connection breaks, and telling of time.
(() => {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // A network that changes breaks what is under way; what asks by itself every few seconds needs no help.
  const broken = new WeakSet();
  document.addEventListener("htmx:sendError", (event) => {
    const { elt, requestConfig, target } = event.detail;
    if (broken.has(elt) || (elt.getAttribute("hx-trigger") || "").includes("every")) return;
    broken.add(elt);
    const [select, swap] = ["hx-select", "hx-swap"].map((name) => elt.getAttribute(name) || undefined);
    htmx.ajax(requestConfig.verb, requestConfig.path, { source: elt, target, select, swap });
  });
  document.addEventListener("htmx:afterOnLoad", (event) => broken.delete(event.detail.elt));

  // What was deleted meanwhile says so itself. A part that is asked for as the page loads would reload it for ever.
  document.addEventListener("htmx:responseError", (event) => {
    const atOnce = (event.detail.elt.getAttribute("hx-trigger") || "").includes("load");
    if (event.detail.xhr.status === 404 && !atOnce) location.reload();
  });

  // In the place of the page that waits for it: the way back from a session is not into it again.
  document.addEventListener("opening", (event) => location.replace(event.detail.address));

  // How long ago something was goes on while a page is open; in the words of launcher/web/page.py.
  const ago = (seconds) => {
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]])
      if (seconds >= Math.max(5, length)) return `${Math.floor(seconds / length)} ${unit} ago`;
    return "just now";
  };
  setInterval(() => {
    for (const time of document.querySelectorAll("time[datetime]"))
      time.textContent = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
  }, 5000);

  // While nothing comes from the service, what is shown of a build is not how it is.
  const isLost = (lost) => {
    const words = document.getElementById("lost");
    if (words) words.hidden = !lost;
  };
  document.addEventListener("htmx:sseError", () => isLost(true));
  document.addEventListener("htmx:sseOpen", () => isLost(false));

  // A line is shown unless its stage is folded, or the search finds nothing in it.
  const showLines = () => {
    const wanted = document.getElementById("log-search").value.toLowerCase();
    let folded = false;
    for (const part of document.getElementById("log").children) {
      if (part.matches(".fold")) folded = part.getAttribute("aria-expanded") === "false";
      else part.hidden = folded || !part.lastElementChild.textContent.toLowerCase().includes(wanted);
    }
  };

  document.addEventListener("click", (event) => {
    if (!event.target.matches(".fold")) return;
    event.target.setAttribute("aria-expanded", event.target.getAttribute("aria-expanded") === "false");
    showLines();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "log-search") showLines();
    const table = document.querySelector(`[data-searched-by="${CSS.escape(event.target.id)}"]`);
    if (!table) return;
    const wanted = event.target.value.toLowerCase();
    for (const row of table.tBodies[0].rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted);
  });

  // A log is followed while its end is in view, and left where it is while somebody reads further up.
  let follows = true;
  document.addEventListener("htmx:sseBeforeMessage", () => {
    const log = document.getElementById("log");
    follows = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 40;
  });
  document.addEventListener("htmx:sseMessage", (event) => {
    const log = document.getElementById("log");
    if (!log || event.detail.type !== "log") return;
    if (log.querySelector("[aria-expanded=false]") || document.getElementById("log-search").value) showLines();
    if (follows) log.scrollTop = log.scrollHeight;
  });
})();
