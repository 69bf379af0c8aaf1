(() => {
  'use strict';
  const $ = (id) => document.getElementById(id);
  const table = $('board'), form = $('filters');
  const heads = [...table.tHead.rows[0].cells], first = 3;
  const bodies = [...table.tBodies];
  const lines = bodies.flatMap((body) => [...body.rows].filter((row) => row.cells[0].scope === 'row'));
  const search = $('search');
  const filters = [...form.querySelectorAll('[data-filter]')], complete = $('complete');
  const columns = [...form.querySelectorAll('[data-column]')];
  const home = heads.findIndex((head) => head.hasAttribute('aria-sort'));
  const homeDown = home > 0 && heads[home].ariaSort === 'descending';
  let sorted = home, down = homeDown;

  // Hundreds of rows are laid out only near the window; a full-page capture of fewer has them all.
  table.classList.toggle('long', lines.length > 60);
  // The style lays rows out as grids; not every browser remembers that they are a table's.
  table.role = 'table';
  for (const row of table.rows) {
    row.role = 'row';
    for (const cell of row.cells) {
      cell.role = { col: 'columnheader', row: 'rowheader', rowgroup: 'rowheader' }[cell.scope] || 'cell';
    }
  }
  for (const part of [table.tHead, ...bodies]) part.role = 'rowgroup';

  function arrange() {
    let count = 0;
    const filled = new Set();
    for (const row of lines) {
      const keep = filters.every((f) => !f.value || row.dataset[f.dataset.filter].split('|').includes(f.value))
        && row.cells[0].textContent.toLowerCase().includes(search.value.trim().toLowerCase())
        && (!complete.checked || 'complete' in row.dataset);
      if (row.hidden === keep) row.hidden = !keep;
      count += keep;
      if (keep) filled.add(row.parentNode);
    }
    for (const body of bodies) if (body.hidden === filled.has(body)) body.hidden = !body.hidden;
    const all = `${lines.length} ${lines.length === 1 ? 'method' : 'methods'}`;
    $('count').textContent = count === lines.length ? all : `${count} of ${all}`;
    $('nothing').hidden = count > 0;
  }
  function sort() {
    heads.forEach((head, i) => {
      if (i === sorted) head.ariaSort = down ? 'descending' : 'ascending';
      else head.removeAttribute('aria-sort');
    });
    const key = (row) => {
      const cell = row.cells[sorted];
      if (!sorted) return [0, cell.firstChild.textContent];
      // What is incomplete comes after what is complete, and what has no number last, whichever end comes first.
      return 'v' in cell.dataset ? [cell.title ? 1 : 0, Number(cell.dataset.v)] : [2, 0];
    };
    for (const body of bodies) {
      const rows = lines.filter((row) => row.parentNode === body).map((row, i) => [key(row), i, row]);
      rows.sort(([[p, x], i], [[q, y], j]) => p - q || (x === y ? i - j : (x < y ? -1 : 1) * (down ? -1 : 1)));
      body.append(...rows.map((item) => item[2]));
    }
  }
  function show() {
    columns.forEach((box, i) => {
      for (const row of table.rows) {
        const cell = row.cells[first + i];
        if (cell) cell.hidden = !box.checked;
      }
    });
  }
  function remember() {
    const state = new URLSearchParams();
    for (const f of filters) if (f.value) state.set(f.dataset.filter, f.value);
    if (complete.checked) state.set('complete', '1');
    if (search.value) state.set('search', search.value);
    if (sorted !== home || down !== homeDown) {
      state.set('sort', heads[sorted].dataset.name);
      state.set('down', down ? '1' : '0');
    }
    const off = columns.filter((box) => !box.checked).map((box) => heads[first + columns.indexOf(box)].dataset.name);
    for (const name of off) state.append('without', name);
    history.replaceState(null, '', state.size ? `#${state}` : location.pathname + location.search);
    for (const link of document.querySelectorAll('.tasks a')) link.hash = state.size ? `#${state}` : '';
  }
  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const f of filters) {
      const wanted = state.get(f.dataset.filter) || '';
      f.value = [...f.options].some((o) => (o.value) === wanted) ? wanted : '';
    }
    complete.checked = state.get('complete') === '1';
    search.value = state.get('search') || '';
    const place = heads.findIndex((head) => head.dataset.name && head.dataset.name === state.get('sort'));
    if (place >= 0) {
      [sorted, down] = [place, state.get('down') === '1'];
      sort();
    }
    const off = state.getAll('without');
    columns.forEach((box, i) => { box.checked = !off.includes(heads[first + i].dataset.name); });
    if (off.length) show();
    arrange();
    remember();
  }
  heads.forEach((head, i) => {
    if (i === 1 || i === 2) return;
    const button = document.createElement('button');
    button.type = 'button';
    const about = head.querySelector('.about');
    if (about) about.remove();
    button.textContent = head.textContent;
    head.replaceChildren(button, ...(about ? [about] : []));
    button.addEventListener('click', () => {
      down = sorted === i ? !down : i > 0 && head.dataset.up !== '-1';
      sorted = i;
      sort();
      remember();
    });
  });
  form.addEventListener('change', (event) => {
    (event.target.dataset.column ? show : arrange)();
    remember();
  });
  search.addEventListener('input', () => { arrange(); remember(); });
  form.addEventListener('submit', (event) => event.preventDefault());
  form.addEventListener('reset', () => setTimeout(() => { show(); arrange(); remember(); }));
  $('csv').addEventListener('click', () => {
    // A spreadsheet takes such a beginning for a formula, but for a negative number.
    const formula = (text) => /^[-=+@\t]/.test(text) && Number.isNaN(Number(text));
    const cell = (text) => `"${(formula(text) ? "'" : '') + text.replaceAll('"', '""')}"`;
    const rows = [heads, ...lines.filter((row) => !row.hidden).map((row) => [...row.cells])];
    const text = rows.map((row) => [...row].filter((item) => !item.hidden)
      .map((item) => cell(item.dataset.v || item.dataset.name || (item.querySelector('a, b') || item).textContent.trim())).join(',')).join('\n');
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: 'text/csv' }));
    link.download = 'board.csv';
    link.click();
    URL.revokeObjectURL(link.href);
  });
  form.hidden = false;
  recall();
})();
