// The rater's page: consent, practice, trials, breaks, thanks. Talks to the server that served it and to nobody else.
// Everything that comes from the server is text: nothing is ever set as markup.

import { Questions, make } from "./questions.js";
import { Player, film, load, playable, release } from "./videos.js";

const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const screens = ["notice", "consent", "survey", "instructions", "trial", "break", "done"];
const wanted = new URLSearchParams(location.search);
const { lang: language } = document.documentElement;
const texts = await loadTexts();
const t = (key, values = {}) => (texts[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const { format: tenths } = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const say = (text) => { $("said").textContent = text; };

let state = null;      // what /api/state said last
let current = null;    // the trial on the screen
let ahead = null;      // promise of the next trial with its videos, loaded while this one is watched
let player = null;
let questions = null;  // what is asked of it

async function loadTexts() {
  for (;;) {
    try { return await (await call("GET", "/page/texts")).json(); } catch { await wait(1000); }
  }
}

/* ---------------------------------------------------------------- talking to the server */

class Stop extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

// Every request names the page's own language: another page of the same browser may have been opened in another one since.
async function call(method, path, body) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  return fetch(`${path}?lang=${language}`, request);
}

// Too early, too often, or the server is busy: the same later.
const passing = (status) => status === 425 || status === 429 || status >= 500;
const pause = (tries, response) => {
  const asked = Number(response?.headers.get("Retry-After")) * 1000 || 0;
  return Math.max(asked, Math.min(15000, 400 * 2 ** tries)) * (0.75 + Math.random() / 2);
};

// Asks until there is an answer that is worth having; a dead network and a busy server only take longer.
async function ask(method, path, body) {
  for (let tries = 0; ; tries++) {
    let response = null;
    try { response = await call(method, path, body); } catch { /* no network */ }
    if (response && !passing(response.status)) {
      $("sending").textContent = outbox.waiting();
      return response;
    }
    if (tries) $("sending").textContent = t("no_connection");
    await Promise.race([wait(pause(tries, response)), new Promise((back) => addEventListener("online", back, { once: true }))]);
  }
}

async function askOrStop(method, path, body) {
  const response = await ask(method, path, body);
  if (response.ok) return response;
  const { error, message } = await response.json().catch(() => ({ error: "unknown", message: "" }));
  // What ended in the meantime may have a code to hand in.
  if (state && endings.includes(error) && error !== "session") state = await (await ask("GET", "/api/state")).json();
  throw new Stop(error, message);
}

/* ---------------------------------------------------------------- outbox: an answer is kept here until the server has it */

const outbox = {
  memory: new Map(),   // where the browser keeps nothing
  heard: new Map(),    // assignment -> who waits for the server's answer
  sending: false,
  key: (assignment) => `vapbench/${state.study.label}/${state.me}/${assignment}`,
  all() {
    const prefix = this.key("");
    const found = new Map(this.memory);
    try {
      for (const key of Object.keys(localStorage))
        if (key.startsWith(prefix)) found.set(key.slice(prefix.length), localStorage.getItem(key));
    } catch { /* storage is switched off */ }
    return found;
  },
  waiting() {
    const count = state?.me ? this.all().size : 0;
    return count ? t("answers_waiting", { n: count }) : "";
  },
  put(assignment, ballot) {
    const text = JSON.stringify(ballot);
    try { localStorage.setItem(this.key(assignment), text); } catch { this.memory.set(assignment, text); }
    const answer = new Promise((heard) => this.heard.set(assignment, heard));
    this.flush();
    return answer;
  },
  drop(assignment) {
    this.memory.delete(assignment);
    try { localStorage.removeItem(this.key(assignment)); } catch { /* never was there */ }
  },
  async flush() {
    if (this.sending) return;
    this.sending = true;
    try {
      for (let left = this.all(), strangers = 0; left.size; left = this.all()) {
        const [assignment, text] = left.entries().next().value;
        $("sending").textContent = this.waiting();
        const response = await ask("PUT", `/api/votes/${assignment}`, text);
        if (response.status === 401) throw new Stop("session", "");
        const said = await response.json().catch(() => null);
        if (!said?.stored && !said?.error) {
          // A proxy or the sign-in page of a network answered in the server's place.
          await wait(pause(strangers++, response));
          continue;
        }
        // Stored, stored before, answered in another tab, or refused for good: in each case there is no more to send.
        this.drop(assignment);
        this.heard.get(assignment)?.(said);
        this.heard.delete(assignment);
        // Nothing more is taken: better said now than after the next trial.
        if (["closed", "withdrawn", "evicted"].includes(said.error)) {
          await refresh();
          throw new Stop(said.error, "");
        }
      }
    } catch (error) {
      if (error instanceof Stop) stop(error); else throw error;
    } finally {
      this.sending = false;
      $("sending").textContent = this.waiting();
    }
  },
  async drained() {
    while (this.all().size) { this.flush(); await wait(150); }
  },
};

addEventListener("beforeunload", (event) => { if (state?.me && outbox.all().size) event.preventDefault(); });

/* ---------------------------------------------------------------- draft: what is chosen and written, until it is confirmed */

const draft = {
  key: () => `vapbench-draft/${state.study.label}/${state.me}/${current.assignment}`,
  keep() {
    try { localStorage.setItem(this.key(), JSON.stringify({ ...questions.values(), comment: $("comment").value })); } catch { /* storage is switched off */ }
  },
  restore() {
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(this.key())); } catch { /* as if there were none */ }
    $("comment").value = kept?.comment ?? "";
    $("answer").querySelector("details").open = $("comment").value !== "";
    questions.fill(kept ?? {});
  },
  drop() {
    try { localStorage.removeItem(this.key()); } catch { /* never was there */ }
  },
};

/* ---------------------------------------------------------------- screens */

function show(name, title) {
  for (const screen of screens) $(screen).hidden = screen !== name;
  document.body.dataset.room = name === "trial" ? "viewing" : "reading";
  // Wherever there is something to withdraw from, Leave is at hand.
  $("bar").hidden = ["notice", "consent"].includes(name) || state?.outcome === "declined";
  if (name !== "trial") { player?.stop(); }
  $("window").hidden = true;
  guardWindow();
  document.title = title ?? $(name).querySelector("h1").textContent;
  scrollTo(0, 0);
  $(name).querySelector("h1").focus({ preventScroll: true });
}

function notice(title, text, action, then) {
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = action ?? "";
  $("notice-action").onclick = then ?? null;
  show("notice");
}

const endings = ["session", "paused", "closed", "full", "busy", "declined", "evicted", "screened_out", "withdrawn", "unsupported"];
const retried = ["paused", "busy"];

function stop(error) {
  if (!(error instanceof Stop)) {
    console.error(error);
    return notice(t("wrong.title"), t("wrong.text"), t("load_again"), () => location.reload());
  }
  // Whoever was at it when the study closed is told what becomes of the answers.
  if (error.code === "closed" && state?.progress && current) return guarded(finish)();
  const { code } = error;
  if (!endings.includes(code)) return notice(t("refused.title"), texts[`refused.${code}`] ?? t("refused.text"), t("load_again"), () => location.reload());
  // An end that the platform has a code for.
  if (state?.completion) return ending(t(`${code}.title`), t(`${code}.text`));
  notice(t(`${code}.title`), t(`${code}.text`), ...(retried.includes(code) ? [t("try_again"), () => start()] : []));
}

const guarded = (work) => (...what) => Promise.resolve(work(...what)).catch(stop);

// Asked of the screen, not of the window: enlarging the text of a page makes the window smaller in its own measure.
const tooSmall = () => Math.max(screen.width, screen.height) < 1024 || (matchMedia("(pointer: coarse)").matches && Math.min(screen.width, screen.height) < 600);

function progress() {
  const { done, total } = state.progress;
  $("place").textContent = current?.training ? t("practice") : t("trial_of", { done: Math.min(done + 1, total), total });
  $("track").style.width = `${(100 * done) / total}%`;
}

/* ---------------------------------------------------------------- a trial */

function lay(trial) {
  const videos = [film(trial.blobs[0], t("reference"))];
  const count = trial.results.length;
  $("about").replaceChildren(
    ...(trial.image ? [make("img", { src: trial.blobs[count + 1], alt: t("picture_alt") })] : []),
    ...(trial.prompt ? [make("p", { class: "soft" }, trial.prompt)] : []),
  );
  const reference = make("figure", { class: "film reference" }, videos[0], make("figcaption", { class: "caption" }, make("span", { class: "name" }, t("reference"))));
  const results = trial.results.map((_, n) => film(trial.blobs[n + 1], t("result", { n: n + 1 })));
  videos.push(...results);
  questions = new Questions(trial, state.study.ties, t);
  $("stage").replaceChildren(reference, ...questions.films(results), ...questions.extras());
  $("asked").replaceChildren(...questions.lines());
  $("answer").toggleAttribute("data-rows", questions.inRows);
  for (const [n, frame] of films().entries()) {
    frame.querySelector(".caption").append(enlarger(n));
    // A video that is no answer can be clicked.
    if (!frame.matches("label")) frame.querySelector("video").onclick = () => toggleLarge(n);
  }
  $("stage").dataset.count = count;
  return videos;
}

// One video as large as the window, the others playing on in step: the next one stands in its place.
const films = () => [...$("stage").querySelectorAll(".film")];
const enlarged = () => films().findIndex((frame) => frame.matches(".large"));
function enlarge(wanted) {
  for (const [n, frame] of films().entries()) {
    frame.classList.toggle("large", n === wanted);
    frame.querySelector(".enlarge").setAttribute("aria-pressed", String(n === wanted));
  }
}
const toggleLarge = (n) => enlarge(enlarged() === n ? -1 : n);
function enlarger(n) {
  const name = t("enlarge", { name: n ? t("result", { n }) : t("reference") });
  const button = make("button", { type: "button", class: "quiet enlarge", "aria-pressed": "false", "aria-label": name, title: name }, "\u2922");
  button.onclick = () => toggleLarge(n);
  return button;
}

// One row or two, whichever shows the videos larger in this window; the numbers are those of the style sheet.
function arrange() {
  const count = Number($("stage").dataset.count), ratio = Number($("stage").style.getPropertyValue("--ratio"));
  if (!count || !ratio) return;
  const beneath = $("asked").offsetHeight;
  $("stage").style.setProperty("--beneath", `${beneath}px`);
  const across = Math.min(innerWidth, 1920) - 64;
  const down = questions.inRows ? Math.max(0.36 * innerHeight, innerHeight - 352 - beneath) : innerHeight - 424 - beneath;
  const width = (rows) => Math.min(across / (Math.ceil(count / rows) + 1) - 32, (down / rows) * ratio);
  const rows = count > 3 && width(2) > width(1) ? 2 : 1;
  $("stage").style.setProperty("--columns", Math.ceil(count / rows) + 1);
  $("stage").style.setProperty("--rows", rows);
  $("asked").style.setProperty("--above", `${$("stage").offsetHeight}px`);
}
addEventListener("resize", arrange);

// A window so small that the videos are not seen side by side: no trial is shown in it. The outer size, because enlarged text
// makes the window smaller in its own measure.
const tooNarrow = () => state?.study.window && (outerWidth < state.study.window[0] || outerHeight < state.study.window[1]);
let resume = false;
function guardWindow() {
  if ($("trial").hidden && $("window").hidden) return;
  const small = Boolean(tooNarrow());
  if (small === !$("window").hidden) return;
  if (small) {
    resume = Boolean(player?.wanted);
    player?.pause();
  } else if (resume) player?.play();
  $("window").hidden = !small;
  $("trial").hidden = small;
  if (small) $("window").querySelector("h1").focus();
}
addEventListener("resize", guardWindow);

async function present(trial) {
  release(current);
  player?.stop();
  current = trial;
  const count = 1 + trial.also.length;
  $("question").textContent = $("legend").textContent = count > 1 ? t("several.title", { n: count }) : trial.question.wording;
  $("question-help").textContent = count > 1 ? "" : trial.question.help;
  for (const part of ["answer", "broken", "feedback", "fetching"]) $(part).hidden = true;
  $("about").replaceChildren();
  progress();
  show("trial", `${$("place").textContent} · ${state.study.title}`);
  if (!trial.complete) {
    $("fetching").hidden = false;
    await load(trial, (share) => { $("fetching-bar").value = share; });
    if (current !== trial) return;
    $("fetching").hidden = true;
  }
  try {
    if (!trial.complete) throw new Error("not loaded");
    const videos = lay(trial);
    await Promise.all(videos.map(playable));
    if (current === trial) open(trial, videos);
  } catch { if (current === trial) broken(trial); }
}

function open(trial, videos) {
  $("stage").style.setProperty("--ratio", videos[0].videoWidth / videos[0].videoHeight);
  player = new Player(videos);
  player.onchange = () => { $("play-word").textContent = player.wanted ? t("pause") : t("play"); };
  player.onframe = () => {
    if (document.activeElement !== $("scrub") || player.wanted) $("scrub").value = Math.round((1000 * player.time) / player.duration);
    $("scrub").setAttribute("aria-valuetext", t("seconds_of", { now: tenths(player.time), all: tenths(player.duration) }));
    $("clock").textContent = `${tenths(player.time)} / ${tenths(player.duration)} s`;
    if (!trial.watched && player.watched(state.study.play_fraction)) { trial.watched = true; invite(); }
  };
  trial.shownAt = performance.now();
  trial.hidden = 0;
  draft.restore();
  $("slow").setAttribute("aria-pressed", "false");
  $("answer").hidden = $("deciding").hidden = $("commenting").hidden = false;
  arrange();
  player.onchange();
  invite();
  call("POST", `/api/shown/${trial.assignment}`, {}).catch(() => {});
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) player.play();
  ahead = look(trial.assignment);
}

async function look(after) {
  try {
    const response = await call("POST", "/api/next", { after });
    return response.status === 200 ? await load(await response.json()) : null;
  } catch { return null; }
}

function broken(trial) {
  for (const part of ["answer", "fetching"]) $(part).hidden = true;
  $("broken").hidden = false;
  $("broken-text").textContent = t("broken.text");
  $("broken-retry").onclick = guarded(() => { release(trial); trial.blobs = []; trial.complete = false; return present(trial); });
  $("broken-skip").onclick = guarded(async () => {
    await askOrStop("POST", `/api/skip/${trial.assignment}`, {});
    state.progress.done += 1;
    await advance();
  });
  $("broken-retry").focus();
}

function invite() {
  const left = questions.missing().length;
  const open = questions.inRows ? t("hint.answer", { n: left }) : t("hint.choose");
  const missing = !current.watched ? t("hint.watch") : left ? open : "";
  $("confirm").setAttribute("aria-disabled", String(missing !== ""));
  $("hint").textContent = missing || t("hint.change");
  return missing;
}

function browser() {
  const agent = navigator.userAgent;
  return /Firefox/.test(agent) ? "firefox" : /Edg\//.test(agent) ? "edge" : /Chrom/.test(agent) ? "chromium" : /Safari/.test(agent) ? "safari" : "other";
}

function ballot() {
  return {
    ...questions.given(),
    comment: $("comment").value.trim(),
    client: {
      milliseconds: Math.round(performance.now() - current.shownAt),
      plays: current.results.map(() => player.rounds),
      dropped_frames: player.dropped(),
      stalls: player.stalls,
      hidden: current.hidden,
      viewport: [innerWidth, innerHeight],
      window: [outerWidth, outerHeight],
      browser: browser(),
    },
  };
}

const confirmChoice = guarded(async () => {
  const trial = current;
  if (!player || trial.sent || $("answer").hidden) return;
  const missing = invite();
  if (missing) {
    if (current.watched) questions.turn(questions.missing()[0]);
    return say(missing);
  }
  trial.sent = true;
  enlarge(-1);
  player.pause();
  const answer = outbox.put(trial.assignment, ballot());
  draft.drop();
  state.progress.done += 1;
  if (!trial.training) return advance();
  const { feedback } = await answer;
  return feedback ? explain(feedback) : advance();
});

function explain({ right, text }) {
  $("feedback-title").textContent = right ? t("feedback.right") : t("feedback.wrong");
  $("feedback-text").textContent = text || (right ? t("feedback.right_text") : t("feedback.wrong_text"));
  $("deciding").hidden = $("commenting").hidden = true;
  $("feedback").hidden = false;
  $("feedback-title").focus();
  $("feedback").scrollIntoView({ block: "nearest" });
}

const advance = guarded(async () => {
  const last = current;
  player?.stop();
  const next = (await ahead) ?? (await following(last.assignment));
  ahead = null;
  if (!next) return finish();
  const block = state.study.block;
  if (!next.training && !last.training && state.progress.done % block === 0) {
    $("break-place").textContent = t("done_of", state.progress);
    $("break-go").onclick = guarded(() => present(next));
    progress();
    $("place").textContent = t("break");
    return show("break");
  }
  return present(next);
});

// The first trial after one that is still to be answered here: answers on their way are not asked for again.
async function following(after) {
  for (;;) {
    let response;
    try { response = await askOrStop("POST", "/api/next", { after }); }
    catch (error) {
      if (error.code !== "ahead") throw error;
      await outbox.drained();
      after = null;
      continue;
    }
    if (response.status === 200) {
      const trial = await response.json();
      if (!outbox.all().has(trial.assignment)) return trial;
      after = trial.assignment;
    } else {
      await outbox.drained();
      if (after === null) return null;
      after = null;
    }
  }
}

async function refresh() {
  state = await (await askOrStop("GET", "/api/state")).json();
  suit();
}

async function finish() {
  release(current);
  current = null;
  await outbox.drained();
  await refresh();
  const { outcome, progress: { done } } = state;
  if (outcome === "finished" && state.study.after.length && !state.answered.includes("after")) return questionnaire("after", finish);
  $("place").textContent = t("finished");
  $("track").style.width = "100%";
  ending(t("thanks"), t(["finished", "closed", "technical"].includes(outcome) ? `done.${outcome}` : "done.saved", { n: done }));
  $("closing").hidden = false;
}

// The last page, with what to hand in where one came from.
function ending(title, text) {
  const { completion } = state;
  $("done-title").textContent = title;
  $("done-text").textContent = text;
  $("closing").hidden = true;
  $("done-code").hidden = !completion;
  if (completion) {
    $("code").textContent = completion.code;
    $("code-line").hidden = $("copy").hidden = !completion.code;
    $("return").hidden = !completion.url;
    if (completion.url) $("return").href = completion.url;
    $("return-note").textContent = completion.url ? t("return.hands_in") : t("return.keep");
  }
  show("done");
}

/* ---------------------------------------------------------------- beginning */

async function begin() {
  const trial = await following(null);
  return trial ? present(trial) : finish();
}

// What study preview shows: one screen each, whatever a rater would have to do to reach it.
async function preview(screenName) {
  if (screenName === "phone") return notice(t("small.title"), t("small.text"));
  if (endings.includes(screenName)) return notice(t(`${screenName}.title`), t(`${screenName}.text`));
  if (screenName === "instructions") return instruct();
  if (screenName === "before" || screenName === "after") { state.answered = []; return questionnaire(screenName, () => {}); }
  if (screenName === "break") { $("break-place").textContent = t("done_of", state.progress); return show("break"); }
  if (screenName === "done") return ending(t("thanks"), t("done.finished", { n: state.progress.total }));
  return begin();
}

const start = guarded(async () => {
  if (wanted.has("screen") && wanted.get("screen") !== "consent") {
    await refresh();
    if (state.preview) return preview(wanted.get("screen"));
  }
  if (!wanted.has("screen") && tooSmall()) return notice(t("small.title"), t("small.text"));
  await refresh();
  if (state.stage === "closed" && state.completion) return finish();
  if (state.preview && wanted.get("screen") === "consent") state.stage = "consent";
  if (state.stage !== "trials" && state.stage !== "consent" && state.stage !== "finished") throw new Stop(state.stage, "");
  if (document.createElement("video").canPlayType('video/mp4; codecs="avc1.640028"') === "") throw new Stop("unsupported", "");
  outbox.flush();
  if (state.stage === "finished") return finish();
  if (state.stage === "trials") return state.progress.done ? begin() : questionnaire("before", instruct);
  $("consent-title").textContent = state.study.title;
  $("consent-minutes").textContent = state.study.minutes;
  const { consent, contact, review } = state.study;
  const more = [review && `${t("review.label")}: ${review}`, contact && `${t("contact.label")}: ${contact}`].filter(Boolean);
  $("consent-text").replaceChildren(...[...consent.text.split("\n").filter((line) => line.trim()), ...more].map(paragraph));
  $("languages").replaceChildren(...state.study.languages.map((name) => make("a", { href: `/study?lang=${name}`, lang: name, hreflang: name }, new Intl.DisplayNames([name], { type: "language" }).of(name))));
  $("languages").hidden = state.study.languages.length < 2;
  $("consent-version").textContent = state.study.consent.version;
  show("consent");
});

// Instructions and help say what holds in this study.
function suit() {
  for (const item of document.querySelectorAll("[data-tie]")) item.hidden = !state.study.ties;
  for (const item of document.querySelectorAll("[data-bad]")) item.hidden = !state.study.both_bad;
  for (const item of document.querySelectorAll("[data-tags]")) item.hidden = !state.study.tags;
  for (const item of document.querySelectorAll("[data-asked]")) item.hidden = (item.dataset.asked === "below") !== state.study.below;
}

// A line of the consent form may begin with a heading: "What is kept: your answers".
function paragraph(line) {
  const [, heading, text] = /^([^:.]{1,40}): (.*)$/.exec(line) ?? [null, "", line];
  return make("div", {}, make("dt", {}, heading || t("about")), make("dd", {}, text));
}

function instruct() {
  $("instructions-training").hidden = !state.study.training;
  $("place").textContent = t("introduction");
  if (state.study.instructions.length)
    document.querySelector(".steps").replaceChildren(...state.study.instructions.map(({ title, text }) => make("li", {}, make("h2", {}, title), make("p", {}, text))));
  show("instructions");
}

/* ---------------------------------------------------------------- questions before and after */

// Shows the questions that are still to be answered, then goes on.
function questionnaire(when, then) {
  const asked = state.study[when];
  if (!asked.length || state.answered.includes(when)) return then();
  $("survey-title").textContent = t(`${when}.title`);
  $("survey-fields").replaceChildren(...asked.map((question, n) => field(question, `survey-${n}`)));
  $("survey-form").onsubmit = guarded(async (event) => {
    event.preventDefault();
    const answers = {};
    for (const { key: name } of asked) {
      const value = new FormData($("survey-form")).get(name);
      if (value) answers[name] = value;
    }
    await askOrStop("POST", "/api/answers", { when, answers });
    state.answered.push(when);
    await then();
  });
  $("place").textContent = "";
  return show("survey");
}

function field({ key: name, ask: wording, kind, options, required }, id) {
  const label = make("label", { for: id }, wording, ...(required ? [] : [make("span", { class: "soft" }, ` (${t("optional")})`)]));
  const needed = required ? { required: "" } : {};
  const input = kind === "choice"
    ? make("select", { id, name, ...needed }, make("option", { value: "" }, required ? "" : t("no_answer")), ...options.map((text, n) => make("option", { value: String(n) }, text)))
    : kind === "number" ? make("input", { id, name, type: "number", min: "0", max: "200", ...needed })
    : make("textarea", { id, name, rows: "2", maxlength: "500", ...needed });
  return make("div", { class: "field" }, label, input);
}

$("consent-form").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  await askOrStop("POST", "/api/consent", { version: state.study.consent.version });
  await refresh();
  questionnaire("before", instruct);
}));
$("decline").onclick = guarded(async () => {
  await askOrStop("POST", "/api/decline", {});
  await refresh();
  throw new Stop("declined", "");
});
$("instructions-go").onclick = guarded(begin);
$("feedback-go").onclick = () => advance();
$("answer").addEventListener("submit", (event) => { event.preventDefault(); confirmChoice(); });
$("answer").addEventListener("change", (event) => {
  if (current.sent || !["radio", "checkbox"].includes(event.target.type)) return;
  draft.keep();
  if (event.target.type === "checkbox") return;
  invite();
  say(t("chosen", { name: event.target.getAttribute("aria-label") }));
});
$("comment").addEventListener("input", () => draft.keep());
$("play").onclick = () => player?.toggle();
$("replay").onclick = () => player?.restart();
$("slow").onclick = () => {
  const slow = $("slow").getAttribute("aria-pressed") !== "true";
  $("slow").setAttribute("aria-pressed", String(slow));
  player?.setRate(slow ? 0.5 : 1);
};
$("scrub").oninput = () => {
  if (!player) return;
  player.pause();
  player.seek(($("scrub").value / 1000) * player.duration);
};
$("copy").onclick = async () => {
  await navigator.clipboard?.writeText($("code").textContent).then(() => say(t("copied")), () => {});
};
$("closing").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  const comment = $("closing-text").value.trim();
  if (!comment) return;
  await askOrStop("POST", "/api/closing", { comment });
  $("closing-said").textContent = t("closing.saved");
  $("closing-text").value = "";
}));

/* ---------------------------------------------------------------- help, leaving, keys */

$("help-keys").replaceChildren(...$("keys-list").cloneNode(true).children);
// What was playing waits for the dialog.
function showOver(dialog) {
  const playing = player?.wanted;
  player?.pause();
  dialog.showModal();
  dialog.addEventListener("close", () => { if (playing && dialog.returnValue !== "withdraw") player?.play(); }, { once: true });
}
const openHelp = () => showOver($("help"));
$("open-help").onclick = openHelp;
$("open-leave").onclick = () => showOver($("leave"));
$("leave").addEventListener("close", guarded(async () => {
  if ($("leave").returnValue !== "withdraw") return;
  $("leave").returnValue = "";
  await askOrStop("POST", "/api/withdraw", {});
  await refresh();
  throw new Stop("withdrawn", "");
}));
try { $("shortcuts").checked = localStorage.getItem("vapbench/shortcuts") !== "off"; } catch { /* stays on */ }
$("shortcuts").onchange = () => {
  try { localStorage.setItem("vapbench/shortcuts", $("shortcuts").checked ? "on" : "off"); } catch { /* for this page only */ }
};

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || document.querySelector("dialog[open]")) return;
  const at = event.target.closest("input, button, textarea, summary, a") ?? document.body;
  if (at.matches("textarea")) return;
  const native = at.matches("button, summary, a, input[type=checkbox]");
  if (event.key === "Enter" && !native) {
    event.preventDefault();
    if (event.repeat) return;
    if (!$("break").hidden) $("break-go").click();
    else if (!$("trial").hidden && !$("feedback").hidden) $("feedback-go").click();
    else if (!$("trial").hidden) confirmChoice();
    return;
  }
  if ($("trial").hidden || $("answer").hidden) return;
  if (enlarged() >= 0 && ["Escape", "ArrowLeft", "ArrowRight"].includes(event.key)) {
    // Not the radio button that has the focus.
    event.preventDefault();
    const count = films().length, step = { ArrowLeft: count - 1, ArrowRight: 1 }[event.key];
    return enlarge(step ? (enlarged() + step) % count : -1);
  }
  if (!$("shortcuts").checked) return;
  if (event.key === " ") {
    // An empty radio button is filled by Space, as everywhere.
    if (native || (at.matches("input[type=radio]") && !at.checked)) return;
    event.preventDefault();
    player?.toggle();
  } else if (event.key === "r" || event.key === "R") player?.restart();
  else if (event.key === "?") openHelp();
  // The one under the pointer, else the first result.
  else if (event.key === "f" || event.key === "F") enlarge(enlarged() < 0 ? [films().findIndex((frame) => frame.matches(":hover")), 1].find((n) => n >= 0) : -1);
  // Where digits are typed with Shift they are digits.
  else if (event.shiftKey && /^Digit[1-9]$/.test(event.code) && !/^\d$/.test(event.key)) questions.tick(Number(event.code.slice(5)) - 1);
  else if (!current.sent) questions.press(event.key);
});

/* Another tab may have gone on in the meantime. */
document.addEventListener("visibilitychange", guarded(async () => {
  if (document.hidden) { if (current) current.hidden += 1; return player?.pause(); }
  if (!current || current.sent || $("trial").hidden) return;
  const mine = current;
  const response = await call("POST", "/api/next", { after: null }).catch(() => null);
  if (current !== mine || mine.sent || !response) return;
  const first = response.status === 200 ? await response.json() : null;
  if (response.status === 204 || (first && first.assignment !== mine.assignment && !outbox.all().has(first.assignment))) {
    await refresh();
    ahead = null;
    return first ? present(first) : finish();
  }
}));
addEventListener("online", () => { if (state?.me) outbox.flush(); });

start();
