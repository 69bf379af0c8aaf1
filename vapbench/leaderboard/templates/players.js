(() => {
  'use strict';
  // One clock drives every video in view: a shorter one holds its last frame, and all begin again together.
  const $ = (id) => document.getElementById(id);
  const bar = $('transport');
  if (!bar) return;
  const play = $('play'), scrub = $('scrub'), label = $('time');
  const live = new Set();
  let playing = false, begun = matchMedia('(prefers-reduced-motion: reduce)').matches, base = 0, since = 0;
  const now = () => performance.now() / 1000;
  const known = () => [...live].filter((video) => video.duration > 0);
  const length = () => Math.max(0, ...known().map((video) => video.duration));
  const clock = () => (playing ? base + now() - since : base);
  const set = (time) => { base = time; since = now(); };

  function follow(video, time) {
    const goal = Math.max(0, Math.min(time, video.duration - 0.02));
    const late = goal - video.currentTime;
    if (!playing || time >= video.duration) {
      if (!video.paused) video.pause();
      if (Math.abs(late) > 0.01 && !video.seeking) video.currentTime = goal;
      return;
    }
    if (Math.abs(late) > 0.25 && !video.seeking) video.currentTime = goal;
    // A small lag is made up by speed: a seek would be seen.
    video.playbackRate = Math.abs(late) < 0.012 ? 1 : Math.min(1.25, Math.max(0.8, 1 + late * 2));
    if (video.paused && !video.seeking) video.play().catch(() => {});
  }
  function tick() {
    const total = length();
    bar.hidden = !live.size;
    if (!begun && total) {
      begun = true;
      toggle(true);
    }
    // Nobody runs ahead: the clock waits until all in view can show their frame.
    if (playing && known().some((video) => video.readyState < 2)) set(Math.min(clock(), base));
    else if (playing && total && clock() > total + 0.4) set(0);
    const time = Math.min(clock(), total);
    for (const video of known()) follow(video, time);
    label.textContent = `${time.toFixed(2)} of ${total.toFixed(2)} s`;
    if (document.activeElement !== scrub || playing) { scrub.max = total || 1; scrub.value = time; }
    requestAnimationFrame(tick);
  }
  function toggle(on) {
    set(Math.min(clock(), length()));
    playing = on;
    play.textContent = on ? 'Pause' : 'Play';
  }
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) { live.add(target); if (target.preload !== 'auto') { target.preload = 'auto'; target.load(); } }
      else { live.delete(target); target.pause(); }
    }
  }, { rootMargin: '80px' });
  function adopt(root) {
    for (const video of root.querySelectorAll('video')) {
      video.controls = video.loop = false;
      watcher.observe(video);
    }
  }
  play.addEventListener('click', () => toggle(!playing));
  scrub.addEventListener('input', () => { toggle(false); set(Number(scrub.value)); });
  document.addEventListener('adopt', () => {
    for (const video of live) if (!video.isConnected) { live.delete(video); watcher.unobserve(video); }
    adopt(document);
  });
  adopt(document);
  requestAnimationFrame(tick);
})();
