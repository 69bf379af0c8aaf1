// The rater's page: consent, practice, trials, breaks, thanks. Talks to the server that served it and to nobody else.
// Everything that comes from the server is text: nothing is ever set as markup.

const $ = (id) => document.getElementById(id);
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const screens = ["notice", "consent", "instructions", "trial", "break", "done"];
const say = (text) => { $("said").textContent = text; };

let state = null;      // what /api/state said last
let current = null;    // the trial on the screen
let ahead = null;      // promise of the next trial with its videos, loaded while this one is watched
let player = null;

/* ---------------------------------------------------------------- talking to the server */

class Stop extends Error {
  constructor(code, message) { super(message); this.code = code; }
}

async function call(method, path, body) {
  const request = { method, headers: {} };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  return fetch(path, request);
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
    if (tries) $("sending").textContent = "No connection: trying again. Nothing is lost.";
    await Promise.race([wait(pause(tries, response)), new Promise((back) => addEventListener("online", back, { once: true }))]);
  }
}

async function askOrStop(method, path, body) {
  const response = await ask(method, path, body);
  if (response.ok) return response;
  const { error, message } = await response.json().catch(() => ({ error: "unknown", message: "" }));
  // What ended in the meantime may have a code to hand in.
  if (state && error in notices && error !== "session") state = await (await ask("GET", "/api/state")).json();
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
    return count ? `${count} ${count > 1 ? "answers" : "answer"} on the way` : "";
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

/* ---------------------------------------------------------------- screens */

function show(name, title) {
  for (const screen of screens) $(screen).hidden = screen !== name;
  document.body.dataset.room = name === "trial" ? "viewing" : "reading";
  // Wherever there is something to withdraw from, Leave is at hand.
  $("bar").hidden = ["notice", "consent"].includes(name);
  if (name !== "trial") { player?.stop(); }
  document.title = title ?? $(name).querySelector("h1").textContent;
  scrollTo(0, 0);
  $(name).querySelector("h1").focus();
}

function notice(title, text, action, then) {
  $("notice-title").textContent = title;
  $("notice-text").textContent = text;
  $("notice-action").hidden = !action;
  $("notice-action").textContent = action ?? "";
  $("notice-action").onclick = then ?? null;
  show("notice");
}

const notices = {
  session: ["Please use your personal link", "Open this study with the whole link from your invitation."],
  paused: ["The study is paused", "Nothing is lost. Please come back a little later.", "Try again", () => start()],
  closed: ["This study has closed", "Thank you for your interest. It takes no more answers."],
  full: ["This study is complete", "Enough people have taken part already. Thank you for coming."],
  busy: ["All places are taken at the moment", "Enough people are taking part right now. A place opens if somebody leaves: try again in half an hour.", "Try again", () => start()],
  declined: ["You have not taken part", "Nothing about you was kept but the fact that somebody said no. Thank you for having looked."],
  evicted: ["The researchers have ended your part in this study", "Please write to them with any question."],
  screened_out: ["Thank you for your time", "For this study we need answers of another kind than yours, so it ends here. Your time counts: hand in the code if there is one below, else return your submission to the platform you came from, and write to the researchers with any question."],
  withdrawn: ["You have left the study", "Your answers are left out of the analysis. Thank you for the time you gave."],
  unsupported: ["This browser cannot play the videos", "The study needs H.264 video. A current Chrome, Edge, Firefox or Safari plays it."],
};

function stop(error) {
  if (!(error instanceof Stop)) {
    console.error(error);
    return notice("Something went wrong", "Your answers so far are saved. Please load the page again.", "Load again", () => location.reload());
  }
  // Whoever was at it when the study closed is told what becomes of the answers.
  if (error.code === "closed" && state?.progress && current) return guarded(finish)();
  // An end that the platform has a code for.
  if (state?.completion && notices[error.code]) return ending(...notices[error.code]);
  notice(...(notices[error.code] ?? ["That did not work", error.message, "Load again", () => location.reload()]));
}

const guarded = (work) => (...what) => Promise.resolve(work(...what)).catch(stop);

// Asked of the screen, not of the window: enlarging the text of a page makes the window smaller in its own measure.
const tooSmall = () => Math.max(screen.width, screen.height) < 1024 || (matchMedia("(pointer: coarse)").matches && Math.min(screen.width, screen.height) < 600);

function progress() {
  const { done, total } = state.progress;
  $("place").textContent = current?.training ? "Practice" : `${Math.min(done + 1, total)} of ${total}`;
  $("track").style.width = `${(100 * done) / total}%`;
}

/* ---------------------------------------------------------------- videos */

const TRIES = 3, SILENCE_MS = 20000;

async function fetchBlob(url, heard) {
  for (let tries = 1; ; tries++) {
    const abort = new AbortController();
    let alarm = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const response = await fetch(url, { signal: abort.signal });
      if (!response.ok) throw new Error(`status ${response.status}`);
      const size = Number(response.headers.get("Content-Length")) || 1;
      const parts = [];
      let got = 0;
      for (const reader = response.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        clearTimeout(alarm);
        alarm = setTimeout(() => abort.abort(), SILENCE_MS);
        parts.push(value);
        got += value.length;
        heard(Math.min(1, got / size));
      }
      return URL.createObjectURL(new Blob(parts, { type: response.headers.get("Content-Type") }));
    } catch (error) {
      if (tries === TRIES) throw error;
      await wait(300 * tries);
    } finally { clearTimeout(alarm); }
  }
}

// Every video is fetched whole before any of them plays: nobody judges a stall.
async function load(trial, heard = () => {}) {
  const addresses = [trial.reference, ...trial.results, ...(trial.image ? [trial.image] : [])];
  const shares = addresses.map(() => 0);
  const results = await Promise.allSettled(addresses.map((address, n) => fetchBlob(address, (share) => {
    shares[n] = share;
    heard(shares.reduce((a, b) => a + b) / shares.length);
  })));
  trial.blobs = results.map((result) => result.value);
  trial.complete = results.every((result) => result.status === "fulfilled");
  return trial;
}

function release(trial) {
  for (const url of trial?.blobs ?? []) if (url) URL.revokeObjectURL(url);
}

// One transport for all videos: they start together, are kept in step, and start again when the longest has ended.
class Player {
  constructor(videos) {
    this.videos = videos;
    this.wanted = false;
    this.rate = 1;
    this.rounds = 0;
    this.stalls = 0;
    this.alive = true;
    this.longest = videos.reduce((a, b) => (b.duration > a.duration ? b : a));
    this.duration = this.longest.duration;
    this.longest.addEventListener("ended", () => this.again());
    for (const video of videos) video.addEventListener("waiting", () => { this.stalls += this.wanted && !video.seeking; });
    requestAnimationFrame(() => this.tick());
  }
  get time() { return this.longest.currentTime; }
  async again() {
    if (!this.wanted || !this.alive) return;
    this.rounds += 1;
    await this.seek(0);
    if (this.wanted && this.alive) await this.run();
  }
  async run() {
    try { await Promise.all(this.videos.filter((v) => !this.over(v)).map((v) => v.play())); }
    catch (error) { if (error.name === "NotAllowedError") this.pause(); }
  }
  over(video) { return video !== this.longest && this.time >= video.duration - 0.02; }
  async play() {
    this.wanted = true;
    this.onchange();
    if (this.longest.ended) await this.seek(0);
    await this.run();
  }
  pause() {
    this.wanted = false;
    for (const video of this.videos) video.pause();
    this.onchange();
  }
  toggle() { return this.wanted ? this.pause() : this.play(); }
  async restart() { await this.seek(0); await this.play(); }
  async seek(seconds) {
    for (const video of this.videos) video.pause();
    await Promise.all(this.videos.map((video) => new Promise((done) => {
      const goal = Math.min(seconds, video.duration);
      if (Math.abs(video.currentTime - goal) < 1e-3 && !video.seeking) return done();
      video.addEventListener("seeked", done, { once: true });
      video.currentTime = goal;
    })));
  }
  setRate(rate) {
    this.rate = rate;
    for (const video of this.videos) video.playbackRate = rate;
  }
  // Small differences are made up for by pace, which the eye does not see, large ones by a jump.
  tick() {
    if (!this.alive) return;
    if (this.wanted && !this.longest.seeking) {
      for (const video of this.videos) {
        if (video === this.longest || video.seeking || this.over(video)) continue;
        const lead = video.currentTime - this.time;
        video.playbackRate = this.rate * (Math.abs(lead) < 0.08 ? 1 : lead > 0 ? 0.95 : 1.05);
        if (Math.abs(lead) > 0.5) video.currentTime = this.time;
        if (video.paused && !video.ended) video.play().catch(() => {});
      }
    }
    this.onframe();
    requestAnimationFrame(() => this.tick());
  }
  watched(fraction) {
    return this.videos.every((video) => {
      let seconds = 0;
      for (let n = 0; n < video.played.length; n++) seconds += video.played.end(n) - video.played.start(n);
      // The last frame begins before the end: a video played through may fall short of its duration by about a frame.
      return seconds >= fraction * video.duration - Math.min(0.1, video.duration / 10);
    });
  }
  dropped() { return this.videos.reduce((sum, v) => sum + (v.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0), 0); }
  stop() { this.alive = false; this.wanted = false; for (const video of this.videos) video.pause(); }
}

/* ---------------------------------------------------------------- a trial */

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const key = (text) => make("kbd", { "aria-hidden": "true" }, text);
const radio = (value, label) => make("input", { type: "radio", name: "choice", value, "aria-label": label });

function film(url, label) {
  const video = make("video", { muted: "", playsinline: "", preload: "auto", disablepictureinpicture: "", disableremoteplayback: "", "aria-label": label });
  video.muted = true;
  video.src = url;
  return video;
}

const playable = (video) => new Promise((good, bad) => {
  if (video.readyState >= 2) return good();
  video.addEventListener("loadeddata", good, { once: true });
  video.addEventListener("error", () => bad(new Error("cannot be played")), { once: true });
});

function lay(trial) {
  const videos = [film(trial.blobs[0], "Reference")];
  const count = trial.results.length;
  $("about").replaceChildren(
    ...(trial.image ? [make("img", { src: trial.blobs[count + 1], alt: "Picture the results start from" })] : []),
    ...(trial.prompt ? [make("p", { class: "soft" }, trial.prompt)] : []),
  );
  const reference = make("figure", { class: "film reference" }, videos[0], make("figcaption", { class: "caption name" }, "Reference"));
  const films = trial.results.map((_, n) => {
    const video = film(trial.blobs[n + 1], `Result ${n + 1}`);
    videos.push(video);
    return make("label", { class: "film choice" }, video, make("span", { class: "caption" }, radio(n, `Result ${n + 1}`), make("span", { class: "name" }, `Result ${n + 1}`), key(n + 1)));
  });
  const tie = make("label", { class: "extra" }, radio("tie", "No difference"), make("span", { class: "name" }, "No difference"), key("0"));
  $("stage").replaceChildren(reference, ...films, ...(state.study.ties ? [make("div", { class: "extras" }, tie)] : []));
  $("stage").dataset.count = count;
  return videos;
}

// One row or two, whichever shows the videos larger in this window; the numbers are those of the style sheet.
function arrange() {
  const count = Number($("stage").dataset.count), ratio = Number($("stage").style.getPropertyValue("--ratio"));
  if (!count || !ratio) return;
  const across = Math.min(innerWidth, 1920) - 64, down = innerHeight - 424;
  const width = (rows) => Math.min(across / (Math.ceil(count / rows) + 1) - 32, (down / rows) * ratio);
  const rows = count > 3 && width(2) > width(1) ? 2 : 1;
  $("stage").style.setProperty("--columns", Math.ceil(count / rows) + 1);
  $("stage").style.setProperty("--rows", rows);
}
addEventListener("resize", arrange);

async function present(trial) {
  release(current);
  player?.stop();
  current = trial;
  $("question").textContent = trial.question.wording;
  $("legend").textContent = trial.question.wording;
  $("question-help").textContent = trial.question.help;
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
  arrange();
  player = new Player(videos);
  player.onchange = () => { $("play-word").textContent = player.wanted ? "Pause" : "Play"; };
  player.onframe = () => {
    if (document.activeElement !== $("scrub") || player.wanted) $("scrub").value = Math.round((1000 * player.time) / player.duration);
    $("scrub").setAttribute("aria-valuetext", `${player.time.toFixed(1)} of ${player.duration.toFixed(1)} seconds`);
    $("clock").textContent = `${player.time.toFixed(1)} / ${player.duration.toFixed(1)} s`;
    if (!trial.watched && player.watched(state.study.play_fraction)) { trial.watched = true; invite(); }
  };
  trial.shownAt = performance.now();
  trial.hidden = 0;
  $("comment").value = "";
  $("answer").querySelector("details").open = false;
  $("slow").setAttribute("aria-pressed", "false");
  $("answer").hidden = $("deciding").hidden = $("commenting").hidden = false;
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
  $("broken-text").textContent = "The connection may be slow. Try again, or go on: this one is then left out.";
  $("broken-retry").onclick = guarded(() => { release(trial); trial.blobs = []; trial.complete = false; return present(trial); });
  $("broken-skip").onclick = guarded(async () => {
    await askOrStop("POST", `/api/skip/${trial.assignment}`, {});
    await advance();
  });
  $("broken-retry").focus();
}

const chosen = () => $("answer").elements.choice?.value ?? "";

function invite() {
  const missing = !current.watched ? "Watch all videos to the end once." : chosen() === "" ? "Choose a result." : "";
  $("confirm").setAttribute("aria-disabled", String(missing !== ""));
  $("hint").textContent = missing || "You can still change your choice.";
  return missing;
}

function browser() {
  const agent = navigator.userAgent;
  return /Firefox/.test(agent) ? "firefox" : /Edg\//.test(agent) ? "edge" : /Chrom/.test(agent) ? "chromium" : /Safari/.test(agent) ? "safari" : "other";
}

function ballot() {
  const choice = chosen();
  return {
    choice: choice === "tie" ? "tie" : Number(choice),
    comment: $("comment").value.trim(),
    client: {
      milliseconds: Math.round(performance.now() - current.shownAt),
      plays: current.results.map(() => player.rounds),
      dropped_frames: player.dropped(),
      stalls: player.stalls,
      hidden: current.hidden,
      viewport: [innerWidth, innerHeight],
      browser: browser(),
    },
  };
}

const confirmChoice = guarded(async () => {
  const trial = current;
  if (!player || trial.sent || $("answer").hidden) return;
  const missing = invite();
  if (missing) return say(missing);
  trial.sent = true;
  player.pause();
  const answer = outbox.put(trial.assignment, ballot());
  state.progress.done += 1;
  if (!trial.training) return advance();
  const { feedback } = await answer;
  return feedback ? explain(feedback) : advance();
});

function explain({ right, text }) {
  $("feedback-title").textContent = right ? "Yes" : "Most people see it differently";
  $("feedback-text").textContent = text || (right ? "That is what there was to see." : "Watch them again if you like, then go on.");
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
    $("break-place").textContent = `${state.progress.done} of ${state.progress.total} done`;
    $("break-go").onclick = guarded(() => present(next));
    progress();
    $("place").textContent = "Break";
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
}

async function finish() {
  release(current);
  current = null;
  await outbox.drained();
  await refresh();
  const { outcome, progress: { done } } = state;
  const said = {
    finished: `All ${done} of your answers are saved.`,
    closed: `The study closed while you were taking part. Your ${done} answers are saved, and your time counts.`,
    technical: "Too many videos could not be loaded to count this as finished. Your answers are saved; please write to the researchers.",
  };
  $("place").textContent = "Finished";
  $("track").style.width = "100%";
  ending("Thank you", said[outcome] ?? "Your answers are saved.");
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
    $("return-note").textContent = completion.url ? "The button takes you back and hands in the code." : "Keep it: it is your proof of having taken part.";
  }
  show("done");
}

/* ---------------------------------------------------------------- beginning */

async function begin() {
  const trial = await following(null);
  return trial ? present(trial) : finish();
}

const start = guarded(async () => {
  if (tooSmall()) return notice("A larger screen is needed", "The videos are compared side by side, which takes a laptop or desktop. Open the same link there: nothing is lost.");
  await refresh();
  if (state.stage === "closed" && state.completion) return finish();
  if (state.stage !== "trials" && state.stage !== "consent" && state.stage !== "finished") throw new Stop(state.stage, "");
  if (document.createElement("video").canPlayType('video/mp4; codecs="avc1.640028"') === "") throw new Stop("unsupported", "");
  outbox.flush();
  if (state.stage === "finished") return finish();
  if (state.stage === "trials") return state.progress.done ? begin() : instruct();
  $("consent-title").textContent = state.study.title;
  $("consent-minutes").textContent = state.study.minutes;
  $("consent-text").replaceChildren(...state.study.consent.text.split("\n").filter((line) => line.trim()).map(paragraph));
  $("consent-version").textContent = state.study.consent.version;
  show("consent");
});

// A line of the consent form may begin with a heading: "What is kept: your answers".
function paragraph(line) {
  const [, heading, text] = /^([^:.]{1,40}): (.*)$/.exec(line) ?? [null, "", line];
  return make("div", {}, make("dt", {}, heading || "About"), make("dd", {}, text));
}

function instruct() {
  for (const item of document.querySelectorAll("[data-tie]")) item.hidden = !state.study.ties;
  $("instructions-training").hidden = !state.study.training;
  $("place").textContent = "Introduction";
  show("instructions");
}

$("consent-form").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  await askOrStop("POST", "/api/consent", { version: state.study.consent.version });
  await refresh();
  instruct();
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
  if (event.target.name !== "choice") return;
  invite();
  say(`${event.target.getAttribute("aria-label")} chosen`);
});
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
  await navigator.clipboard?.writeText($("code").textContent).then(() => say("Copied"), () => {});
};
$("closing").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  const comment = $("closing-text").value.trim();
  if (!comment) return;
  await askOrStop("POST", "/api/closing", { comment });
  $("closing-said").textContent = "Thank you, it is saved.";
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

function choose(value) {
  const input = $("answer").querySelector(`input[name="choice"][value="${value}"]`);
  if (!input || $("answer").hidden) return;
  input.checked = true;
  input.focus();
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

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
  if (!$("shortcuts").checked || $("trial").hidden || $("answer").hidden) return;
  if (event.key === " ") {
    // An empty radio button is filled by Space, as everywhere.
    if (native || (at.matches("input[type=radio]") && !at.checked)) return;
    event.preventDefault();
    player?.toggle();
  } else if (event.key === "r" || event.key === "R") player?.restart();
  else if (event.key === "?") openHelp();
  else if (event.key === "0") choose("tie");
  else if (/^[1-9]$/.test(event.key)) choose(Number(event.key) - 1);
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
