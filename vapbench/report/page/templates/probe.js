// Clips play while their case is in view, all from their beginning.
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    for (const video of target.querySelectorAll("video")) {
      if (isIntersecting) { video.currentTime = 0; video.play().catch(() => {}); } else { video.pause(); }
    }
  }
});
document.querySelectorAll("section").forEach((section) => seen.observe(section));
