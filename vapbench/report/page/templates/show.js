(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const cases = [...document.querySelectorAll('.case')];
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;
  const sources = new Map();  // every video's address, kept while the video is out of view
  const live = new Set();     // videos in view: the only ones that hold a decoder

  // One clock drives every video in view. A video shorter than the longest holds its last frame, and all begin again
  // together. The clock stands still while videos gather: until all in view are ready to show their frame.
  const REST = 0.4;
  let playing = false, speed = 1, base = 0, since = 0, gathering = 0;
  const now = () => performance.now();
  const clock = () => (playing && !gathering ? base + (now() - since) / 1000 * speed : base);
  const known = () => [...live].filter((video) => video.duration > 0);
  const length = () => Math.max(0, ...known().map((video) => video.duration));
  const frameRate = () => Number(known().map((video) => video.dataset.fps).find((fps) => fps > 0)) || 16;

  function set(time) {
    base = time;
    since = now();
  }

  function gather(time) {
    set(time);
    gathering = now();
    for (const video of known()) place(video, time);
  }

  function place(video, time) {
    const last = video.duration - 0.5 / (video.dataset.fps || 16);
    const goal = Math.max(0, Math.min(time, last));
    if (Math.abs(video.currentTime - goal) > 0.002 && !video.seeking) video.currentTime = goal;
  }

  function follow(video, time) {
    const late = time - video.currentTime;
    if (!playing || gathering || time >= video.duration) {
      if (!video.paused) video.pause();
      place(video, time);
      return;
    }
    if (video.ended || Math.abs(late) > 0.25) place(video, time);
    // A small lead or lag is made up by speed: a seek would be seen.
    const pace = Math.abs(late) < 0.012 ? speed : speed * Math.min(1.25, Math.max(0.8, 1 + late * 2));
    if (Math.abs(video.playbackRate - pace) > 0.01) video.playbackRate = pace;
    if (video.paused && !video.seeking) video.play().catch(() => {});
  }

  function tick() {
    const total = length();
    if (gathering) {
      const ready = known().length > 0 && [...live].every((v) => v.error || (v.readyState >= 2 && !v.seeking));
      if (ready || now() - gathering > 1500) {
        gathering = 0;
        since = now();
      }
    } else if (playing && total && clock() >= total + REST / speed) {
      gather(0);
    }
    const time = Math.min(clock(), total || 0);
    for (const video of known()) follow(video, time);
    show(time, total);
    requestAnimationFrame(tick);
  }

  const scrub = $('scrub'), label = $('time'), playLabel = $('play-label');
  let shown = '';
  function show(time, total) {
    const fps = frameRate(), frames = Math.round(total * fps);
    const frame = Math.min(frames, Math.floor(time * fps + 1e-6) + 1);
    const text = total ? `${time.toFixed(2)} s, frame ${frame} of ${frames}` : '–';
    if (text === shown) return;
    shown = text;
    label.textContent = innerWidth < 640 && total ? `${time.toFixed(2)} s` : text;
    scrub.max = total || 1;
    if (document.activeElement !== scrub || playing) scrub.value = time;
    scrub.setAttribute('aria-valuetext', text);
  }

  function toggle(on) {
    if (on && base >= length() - 0.001) set(0);
    set(on ? base : Math.min(clock(), length()));
    playing = on;
    if (on) gather(base);
    $('transport').classList.toggle('playing', on);
    playLabel.textContent = on ? 'Pause' : 'Play';
  }

  function step(direction) {
    const fps = frameRate();
    const frame = Math.floor(Math.min(clock(), length() - 0.5 / fps) * fps + 1e-6) + direction;
    toggle(false);
    // The middle of a frame, so that rounding never shows its neighbour.
    set(Math.max(0, Math.min(length() - 0.5 / fps, (frame + 0.5) / fps)));
  }

  function enter(video) {
    if (live.has(video) || !sources.get(video)) return;
    live.add(video);
    video.src = sources.get(video);
    video.load();
    if (live.size === 1 && playing) gather(base);
  }

  function leave(video) {
    if (!live.delete(video)) return;
    video.pause();
    video.removeAttribute('src');
    video.load();
  }

  for (const video of document.querySelectorAll('video')) {
    sources.set(video, video.getAttribute('src'));
    video.removeAttribute('src');
    video.controls = video.loop = false;
    video.preload = 'auto';
    video.load();
    video.addEventListener('error', () => {
      if (!video.getAttribute('src')) return;
      video.nextElementSibling.hidden = false;
      live.delete(video);
      sources.delete(video);
    });
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      for (const video of entry.target.querySelectorAll('video')) (entry.isIntersecting ? enter : leave)(video);
    }
  }, { rootMargin: '120px 0px' });
  for (const item of cases) watcher.observe(item.querySelector('.panels'));

  const filters = [...document.querySelectorAll('[data-filter]')], sort = $('sort'), list = $('cases');
  function arrange() {
    let count = 0;
    for (const item of cases) {
      const keep = filters.every((f) => !f.value || item.dataset[f.dataset.filter].split('\n').includes(f.value));
      item.hidden = !keep;
      count += keep;
    }
    const all = `${cases.length} ${cases.length === 1 ? 'case' : 'cases'}`;
    $('count').textContent = count === cases.length ? all : `${count} of ${all}`;
    $('nothing').hidden = count > 0;
  }
  function order() {
    const [column, sign] = sort.value ? sort.value.split(' ').map(Number) : [0, 0];
    const value = (item) => {
      const text = item.dataset.values.split(' ')[column];
      return text ? Number(text) : NaN;
    };
    const rank = new Map(cases.map((item, index) => [item, index]));
    const sorted = [...cases].sort((a, b) => {
      const x = value(a), y = value(b);
      if (!sign || (Number.isNaN(x) && Number.isNaN(y)) || x === y) return rank.get(a) - rank.get(b);
      // Cases without a score come last, whichever end comes first.
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
      return sign * (x - y);
    });
    list.prepend(...sorted);
  }
  for (const filter of filters) filter.addEventListener('change', arrange);
  if (sort) sort.addEventListener('change', order);
  $('filters').addEventListener('submit', (event) => event.preventDefault());
  $('reset').addEventListener('click', () => {
    for (const filter of filters) filter.value = '';
    arrange();
  });

  $('play').addEventListener('click', () => toggle(!playing));
  $('restart').addEventListener('click', () => gather(0));
  $('speed').addEventListener('change', (event) => {
    set(clock());
    speed = Number(event.target.value);
  });
  scrub.addEventListener('input', () => {
    toggle(false);
    set(Number(scrub.value));
  });
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('select, input, textarea')) return;
    if (event.key === ' ' && !event.target.closest('button, summary, a')) toggle(!playing);
    else if (event.key === 'r' || event.key === 'R') gather(0);
    else if (event.key === 'ArrowLeft' || event.key === 'ArrowRight') step(event.key === 'ArrowLeft' ? -1 : 1);
    else return;
    event.preventDefault();
  });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && playing) gather(Math.min(base, length()));
    else if (playing) {
      set(Math.min(clock(), length()));
      for (const video of live) video.pause();
    }
  });

  $('transport').hidden = $('filters').hidden = false;
  if (cases.length < 2) $('filters').hidden = true;
  arrange();
  if (!calm) toggle(true);
  requestAnimationFrame(tick);
})();
