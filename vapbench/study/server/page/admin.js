// The administrator's page: counts, pace, raters. Everything the server sends is set as text.

const $ = (id) => document.getElementById(id);
const EVERY_MS = 10000;
let shown = null;

async function call(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body ? { "Content-Type": "application/json" } : {},
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  return answer;
}

async function refresh(method = "GET", path = "/admin/api/summary", body = undefined) {
  try {
    shown = await call(method, path, body);
    draw(shown);
    $("trouble").hidden = true;
  } catch (error) {
    $("trouble").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
    $("trouble").hidden = false;
  }
}

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

function ago(us, now) {
  if (!us) return "";
  const minutes = Math.floor((now - us) / 6e7);
  if (minutes < 1) return "just now";
  return minutes < 120 ? `${minutes} min ago` : minutes < 2880 ? `${Math.floor(minutes / 60)} h ago` : `${Math.floor(minutes / 1440)} d ago`;
}

function draw(study) {
  $("title").textContent = study.title;
  document.title = `${study.title} · administration`;
  $("protocol").textContent = study.protocol;
  $("status").textContent = study.status;
  $("pause").textContent = study.status === "open" ? "Pause" : "Resume";
  $("pause").hidden = $("close").hidden = study.status === "closed";
  const { coverage, votes, raters } = study;
  $("filled").textContent = `${Math.floor((100 * coverage.filled) / coverage.target)} %`;
  $("filled-of").textContent = `${coverage.filled} of ${coverage.target} votes`;
  $("stored").textContent = votes.stored;
  $("stored-of").textContent = "with practice, gold and repeats";
  $("hour").textContent = votes.last_hour;
  const arrived = raters.rows.filter((row) => row.status !== "invited");
  $("arrived").textContent = arrived.length;
  $("arrived-of").textContent = `${arrived.filter((row) => row.status === "finished").length} finished, ${raters.planned} planned`;
  $("per-cell").textContent = coverage.per_cell;
  $("coverage").replaceChildren(...coverage.questions.map((question) => drawQuestion(question, coverage.per_cell)));
  $("raters").replaceChildren(...raters.rows.map((row) => drawRater(row, study.now_us)));
  $("events").replaceChildren(...study.events.map((event) => make("li", {}, make("span", { class: "soft" }, ago(event.at_us, study.now_us)), make("b", {}, event.kind), make("span", {}, event.rater), make("span", { class: "soft" }, event.detail))));
}

function drawQuestion({ question, cases }, target) {
  const rows = cases.map(({ case: name, cells }) => {
    const done = cells.reduce((a, b) => a + b, 0);
    const squares = make("span", { class: "squares", "aria-hidden": "true" }, ...cells.map((votes) => {
      const square = document.createElement("i");
      square.style.setProperty("--part", Math.min(1, votes / target));
      return square;
    }));
    return make("div", { class: "case" }, make("span", { class: "name", title: name }, name), squares, make("span", { class: "n" }, `${done} / ${cells.length * target}`));
  });
  return make("div", {}, make("h3", {}, question), ...rows);
}

function drawRater(row, now) {
  const button = make("button", { type: "button" }, row.excluded ? "Include" : "Exclude");
  button.setAttribute("aria-label", `${row.excluded ? "Include" : "Exclude"} ${row.rater}`);
  button.onclick = () => (row.excluded ? refresh("POST", "/admin/api/exclusion", { rater: row.rater, reason: "" }) : exclude(row.rater));
  return make("tr", row.excluded ? { class: "out" } : {},
    make("td", {}, row.rater), make("td", {}, row.status.replace("_", " ")), make("td", { class: "n" }, row.votes),
    make("td", { class: "n" }, row.median_seconds === null ? "" : `${row.median_seconds.toFixed(1)} s`),
    make("td", { class: "n" }, row.gold ? `${row.gold[0]} of ${row.gold[1]}` : ""), make("td", {}, ago(row.last_us, now)),
    make("td", {}, row.code), make("td", { class: "reason" }, row.status === "invited" ? "" : button, row.excluded || row.broken ? ` ${[row.excluded, row.broken].filter(Boolean).join("; ")}` : ""));
}

function exclude(rater) {
  $("exclusion-who").textContent = rater;
  $("reason").value = "";
  $("exclusion").returnValue = "";
  $("exclusion").onclose = () => {
    const wanted = $("exclusion").returnValue;
    if (["exclude", "evict"].includes(wanted)) refresh("POST", "/admin/api/exclusion", { rater, reason: $("reason").value, evict: wanted === "evict" });
  };
  $("exclusion").showModal();
}

$("pause").onclick = () => refresh("POST", "/admin/api/status", { status: shown.status === "open" ? "paused" : "open" });
$("close").onclick = () => { $("closing-study").returnValue = ""; $("closing-study").showModal(); };
$("closing-study").onclose = () => {
  if ($("closing-study").returnValue === "close") refresh("POST", "/admin/api/status", { status: "closed" });
};

refresh();
setInterval(() => { if (!document.querySelector("dialog[open]") && !document.hidden) refresh(); }, EVERY_MS);
