// What htmx does not do: asking before something is deleted, searching what is on the page already, asking once more
// when a connection breaks, telling of time, and taking over no more than has changed.
(() => {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // A network that changes breaks what is under way; what asks by itself every few seconds needs no help.
  const asksByItself = (element) => (element.getAttribute("hx-trigger") || "").includes("every");
  const broken = new WeakSet();
  document.addEventListener("htmx:sendError", (event) => {
    const { elt, requestConfig, target } = event.detail;
    if (broken.has(elt) || asksByItself(elt)) return;
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
    for (const time of document.querySelectorAll("time[datetime]")) {
      const words = ago((Date.now() - Date.parse(time.dateTime)) / 1000);
      if (time.textContent !== words) time.textContent = words;
    }
  }, 5000);

  // While nothing comes from the service, what is shown is not how it is.
  const isLost = (lost) => {
    const words = document.getElementById("lost");
    if (words) words.hidden = !lost;
  };
  document.addEventListener("htmx:sseError", () => isLost(true));
  document.addEventListener("htmx:sseOpen", () => isLost(false));

  // What asks by itself does so while somebody sees it, and more and more seldom while nothing answers.
  let [pause, next] = [0, 0];
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (asksByItself(event.detail.elt) && (document.hidden || Date.now() < next)) event.preventDefault();
  });
  const heard = (event) => {
    if (event.detail.elt.id !== "now" || !asksByItself(event.detail.elt)) return;
    const lost = event.type !== "htmx:afterOnLoad" || event.detail.xhr.status >= 500;
    pause = lost ? Math.min(Math.max(5000, 2 * pause), 30000) : 0;
    next = Date.now() + pause;
    isLost(lost);
  };
  for (const type of ["htmx:sendError", "htmx:timeout", "htmx:afterOnLoad"]) document.addEventListener(type, heard);

  // What is pressed, has the focus or is selected stays as it is, and is asked for again.
  const inUse = (node) => {
    const selection = getSelection();
    if (!selection.isCollapsed && selection.containsNode(node, true)) return true;
    return node.contains(document.activeElement) || (node.matches && node.matches(":active"));
  };
  // What a part of a page is of; a row of a list is of what it leads to.
  const key = (node) => {
    if (!node.tagName) return node.nodeName;
    const link = node.matches("li") && node.querySelector("a");
    return node.tagName + (node.id || node.getAttribute("action") || (link || node).getAttribute("href") || "");
  };
  let [isHeld, made] = [false, []];
  const renew = (old, fresh) => {
    if (!old.tagName && old.data !== fresh.data) {
      if (inUse(old)) isHeld = true;
      else old.data = fresh.data;
    }
    if (!old.tagName || old.isEqualNode(fresh) || (old.dateTime && old.dateTime === fresh.dateTime)) return;
    const [asked, asks] = [old, fresh].map((node) => `${node.getAttribute("hx-get")} ${node.getAttribute("hx-trigger")}`);
    if (asked !== asks) made.push(old);
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (old.id === "now" || !fresh.hasAttribute("hx-get")) renewWithin(old, fresh);
  };
  const renewWithin = (old, fresh) => {
    const rest = [...old.childNodes];
    const pairs = [...fresh.childNodes].map((child) => {
      const at = rest.findIndex((each) => key(each) === key(child));
      return [child, at < 0 ? null : rest.splice(at, 1)[0]];
    });
    for (const gone of rest) {
      if (inUse(gone)) isHeld = true;
      else gone.remove();
    }
    let place = old.firstChild;
    for (const [child, kept] of pairs) {
      if (kept) renew(kept, child);
      else made.push(child);
      if (kept && kept === place) place = place.nextSibling;
      else old.insertBefore(kept || child, place);
    }
  };
  htmx.defineExtension("renew", {
    handleSwap: (style, target, fragment) => {
      if (style !== "renew") return false;
      made = [];
      const shown = target.getAttribute("hx-vals");
      const fresh = fragment.firstElementChild;
      if (fresh && fresh.id === target.id) renew(target, fresh);
      else renewWithin(target, fragment);
      if (isHeld && shown) target.setAttribute("hx-vals", shown);
      if (shown) isHeld = false;
      return made;
    },
  });

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
