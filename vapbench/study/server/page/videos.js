// Videos: fetched whole, and played in step by one transport.

import { make } from "./questions.js";

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
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
export async function load(trial, heard = () => {}) {
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

export function release(trial) {
  for (const url of trial?.blobs ?? []) if (url) URL.revokeObjectURL(url);
}

// One transport for all videos: they start together, are kept in step, and start again when the longest has ended.
export class Player {
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

export function film(url, label) {
  const video = make("video", { muted: "", playsinline: "", preload: "auto", disablepictureinpicture: "", disableremoteplayback: "", "aria-label": label });
  video.muted = true;
  video.src = url;
  return video;
}

export const playable = (video) => new Promise((good, bad) => {
  if (video.readyState >= 2) return good();
  video.addEventListener("loadeddata", good, { once: true });
  video.addEventListener("error", () => bad(new Error("cannot be played")), { once: true });
});
