(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($('data').textContent);
  const [a, b, metric, condition, order] = ['a', 'b', 'metric', 'condition', 'order'].map($);
  const make = (tag, text, name) => {
    const item = document.createElement(tag);
    if (text) item.textContent = text;
    if (name) item.className = name;
    return item;
  };
  // The same digits as everywhere else: what prints equal is a tie.
  const shown = (value, column) => (value === null ? '–' : (value * column.scale).toFixed(column.digits).replace('-', '−'));

  function clip(label, source, text, bare) {
    const figure = make('figure', '', 'clip');
    figure.append(make('figcaption', label));
    if (bare) {
      figure.append(make('p', text));
      return figure;
    }
    const frame = make('div', source ? '' : 'No video of it is kept here.', source ? 'frame' : 'frame none');
    if (source) {
      const video = make('video');
      // A clip's late frame lies beside it.
      const poster = source.replace(/(-shown)?\.\w+$/, '-late.png');
      Object.assign(video, { src: source, poster, preload: 'none', muted: true, playsInline: true });
      video.setAttribute('aria-label', label);
      frame.append(video);
    }
    figure.append(frame);
    if (text) figure.append(make('p', text));
    return figure;
  }
  const filmed = (sides, i) => sides.filter((side) => side.videos[i]).length;
  function draw() {
    const column = data.columns[metric.value], sides = [a, b].map((side) => data.methods[side.value]);
    const names = [a, b].map((side) => side.selectedOptions[0].textContent);
    const count = { a: 0, b: 0, tie: 0, gone: 0 };
    let duels = data.cases.map((item, i) => {
      const values = sides.map((side) => side.scores[metric.value][i]);
      const texts = values.map((value) => shown(value, column));
      let ahead = 'gone', lead = 0;
      if (!values.includes(null)) {
        lead = (values[0] - values[1]) * (column.up === false ? -1 : 1);
        ahead = texts[0] === texts[1] ? 'tie' : lead > 0 ? 'a' : 'b';
      }
      return { item, i, texts, ahead, lead };
    }).filter((duel) => !condition.value || duel.item.condition === condition.value);
    for (const duel of duels) count[duel.ahead] += 1;
    if (order.value) {
      const sign = order.value === 'a' ? -1 : 1;
      duels.sort((x, y) => (x.ahead === 'gone') - (y.ahead === 'gone') || sign * (x.lead - y.lead) || x.i - y.i);
    }
    else duels.sort((x, y) => filmed(sides, y.i) - filmed(sides, x.i) || x.i - y.i);
    const says = column.up === null ? ['higher', 'higher'] : ['ahead', 'ahead'];
    $('wins').textContent = `${column.title}: ${names[0]} ${says[0]} in ${count.a}, ${names[1]} ${says[1]} in ${count.b}, `
      + `${count.tie} ${count.tie === 1 ? 'tie' : 'ties'}, ${count.gone} without both scores; `
      + `${duels.length} ${duels.length === 1 ? 'case' : 'cases'}.`;
    $('duels').replaceChildren(...duels.map(({ item, i, texts, ahead }) => {
      const section = make('section', '', 'duel');
      const title = make('h3'), link = make('a', item.id);
      link.href = item.page;
      title.append(link);
      const pair = make('div', '', 'pair');
      // A reference beside two empty frames would only make the page long.
      const bare = !filmed(sides, i);
      pair.append(
        clip('Reference', item.reference, item.condition, bare),
        ...sides.map((side, k) => clip(names[k], side.videos[i],
          `${column.title} ${texts[k]}${ahead === 'ab'[k] && column.up !== null ? ', ahead' : ''}`, bare)),
      );
      section.append(title, pair);
      return section;
    }));
    document.dispatchEvent(new Event('adopt'));
    history.replaceState(null, '', `#${new URLSearchParams({ a: a.value, b: b.value, metric: metric.value, condition: condition.value, order: order.value })}`);
  }
  const state = new URLSearchParams(location.hash.slice(1));
  for (const select of [a, b, metric, condition, order]) {
    const wanted = state.get(select.id);
    if (wanted !== null && [...select.options].some((option) => option.value === wanted)) select.value = wanted;
    select.addEventListener('change', draw);
  }
  if (a.value === b.value && b.options.length > 1 && !state.has('b')) b.selectedIndex = a.selectedIndex ? 0 : 1;
  $('filters').hidden = false;
  $('needs').hidden = true;
  if (data.cases.length && data.columns.length) draw();
})();
