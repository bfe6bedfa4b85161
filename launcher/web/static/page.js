// What htmx does not do: asking before something is deleted, and searching what is on the page already.
(() => {
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  const filterLog = () => {
    const log = document.getElementById("log");
    const wanted = document.getElementById("log-search").value.toLowerCase();
    const stage = document.getElementById("log-stage").value;
    for (const line of log.children) {
      const fits = (!stage || line.dataset.stage === stage) && line.lastElementChild.textContent.toLowerCase().includes(wanted);
      line.hidden = !fits;
    }
  };

  document.addEventListener("input", (event) => {
    if (["log-search", "log-stage"].includes(event.target.id)) filterLog();
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
    const stages = document.getElementById("log-stage");
    const stage = log.lastElementChild && log.lastElementChild.dataset.stage;
    if (stage && ![...stages.options].some((option) => option.value === stage)) stages.add(new Option(stage));
    if (stages.value || document.getElementById("log-search").value) filterLog();
    if (follows) log.scrollTop = log.scrollHeight;
  });
})();
