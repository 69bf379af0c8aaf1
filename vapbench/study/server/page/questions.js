// The questions about a trial: laid out, filled by key, read. A single choice is made on the videos themselves; grades and
// several questions stand in rows beneath them.

export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
export const key = (text) => make("kbd", { "aria-hidden": "true" }, text);
const radio = (name, value, label) => make("input", { type: "radio", name, value, "aria-label": label });
// How much better, by the largest grade of the scale.
const WORDS = { 2: ["better", "much"], 3: ["slightly", "better", "much"] };

export class Questions {
  constructor(trial, ties, t) {
    this.asked = [trial.question, ...trial.also];
    this.results = trial.results.map((_, n) => ({ value: String(n), label: t("result", { n: n + 1 }), key: String(n + 1) }));
    this.tie = ties ? { value: "tie", label: t("no_difference"), key: "0" } : null;
    this.several = trial.also.length > 0;
    this.inRows = this.several || trial.question.steps > 0;
    this.t = t;
    this.rows = [];
    this.current = 0;
  }
  name(n) { return n ? `choice-${this.asked[n].key}` : "choice"; }

  // Videos of results, which are the answers to a single question, and whatever else can be said.
  films(videos) {
    return this.results.map(({ value, label, key: digit }, n) => this.inRows
      ? make("figure", { class: "film" }, videos[n], make("figcaption", { class: "caption" }, make("span", { class: "name" }, label)))
      : make("label", { class: "film choice" }, videos[n], make("span", { class: "caption" }, radio("choice", value, label), make("span", { class: "name" }, label), key(digit))));
  }
  extras() {
    const others = this.inRows ? [] : this.options(this.asked[0]).filter((option) => !this.results.includes(option));
    const labels = others.map(({ value, label, key: digit }) =>
      make("label", { class: "extra" }, radio("choice", value, label), make("span", { class: "name" }, label), key(digit)));
    return labels.length ? [make("div", { class: "extras" }, ...labels)] : [];
  }
  lines() {
    this.rows = this.inRows ? this.asked.map((question, n) => this.line(question, n)) : [];
    this.mark(0);
    return this.inRows ? this.rows : this.reasons(0);
  }
  // Reasons to tick; nobody has to.
  reasons(n) {
    const { tags } = this.asked[n];
    if (!tags.length) return [];
    const labels = tags.map((tag, place) =>
      make("label", { class: "tag" }, make("input", { type: "checkbox", name: `${this.name(n)}-tag`, value: String(place) }), make("span", {}, tag)));
    return [make("div", { class: "tags", role: "group", "aria-labelledby": `why-${n}` }, make("span", { class: "soft", id: `why-${n}` }, this.t("why")), ...labels)];
  }
  line(question, n) {
    const options = this.options(question).map(({ value, label, key: digit }) =>
      make("label", { class: "extra" }, radio(this.name(n), value, label), make("span", {}, label), ...(digit ? [key(digit)] : [])));
    const help = [...(question.help ? [question.help] : []), ...(question.required ? [] : [`(${this.t("optional")})`])].join(" ");
    // A single question is the heading of the page.
    const said = this.several ? [make("div", {}, make("p", { class: "name", id: `asked-${n}` }, question.wording), ...(help ? [make("p", { class: "soft", id: `asked-help-${n}` }, help)] : []))] : [];
    const about = this.several ? { "aria-labelledby": `asked-${n}`, ...(help ? { "aria-describedby": `asked-help-${n}` } : {}) } : { "aria-labelledby": "question", "aria-describedby": "question-help" };
    const row = make("div", { class: question.steps ? "ask graded" : "ask", role: "radiogroup", tabindex: "-1", "aria-required": String(question.required), ...about }, ...said, make("div", { class: "options" }, ...options), ...this.reasons(n));
    row.addEventListener("focusin", () => this.mark(n));
    return row;
  }
  // From left to right as the videos stand; what was said of a question that may be left out can be taken back.
  options(question) {
    const [first, ...others] = this.results;
    const shown = question.steps ? this.grades(question.steps)
      : others.length === 1 && this.tie ? [first, this.tie, ...others] : [...this.results, ...(this.tie ? [this.tie] : [])];
    return [
      ...shown,
      ...(question.both_bad ? [{ value: "both_bad", label: this.t("both_bad"), key: "B" }] : []),
      ...(question.required ? [] : [{ value: "", label: this.t("no_answer"), key: "" }]),
    ];
  }
  grades(steps) {
    const [left, right] = this.results;
    return Array.from({ length: 2 * steps + 1 }, (_, n) => {
      const grade = n - steps, name = (grade < 0 ? left : right).label;
      const label = grade ? this.t(`grade.${WORDS[steps][Math.abs(grade) - 1]}`, { name }) : this.tie.label;
      return { value: String(grade), label, key: String(n + 1) };
    });
  }

  mark(n) {
    this.current = n;
    this.rows.forEach((row, place) => row.classList.toggle("current", place === n));
  }
  inputs(n) { return [...document.querySelectorAll(`#answer input[name="${this.name(n)}"]`)]; }
  value(n) { return this.inputs(n).find((input) => input.checked)?.value; }
  ticks(n) { return [...document.querySelectorAll(`#answer input[name="${this.name(n)}-tag"]`)]; }
  tags(n) { return this.ticks(n).flatMap((tick) => (tick.checked ? [Number(tick.value)] : [])); }
  // What is kept over a reload, by the inputs' names.
  values() { return Object.fromEntries(this.asked.flatMap((_, n) => [[this.name(n), this.value(n)], [`${this.name(n)}-tag`, this.tags(n)]])); }
  fill(values) {
    for (const n of this.asked.keys()) {
      for (const input of this.inputs(n)) input.checked = input.value === values[this.name(n)];
      for (const tick of this.ticks(n)) tick.checked = (values[tick.name] ?? []).includes(Number(tick.value));
    }
    this.mark(Math.max(0, this.open()));
  }
  // The first question from one on that nothing was said of; -1 if there is none.
  open(from = 0) { return this.asked.findIndex((_, n) => n >= from && this.value(n) === undefined); }
  missing() { return this.asked.flatMap(({ required }, n) => (required && !this.value(n) ? [n] : [])); }

  tick(place) { this.ticks(this.current)[place]?.click(); }
  // Answer the marked question by a key; the mark goes on to the next without an answer, unless there are reasons to tick.
  press(pressed) {
    const question = this.asked[this.current];
    // No difference is 0 wherever it stands.
    const wanted = question.steps && pressed === "0" ? String(question.steps + 1) : pressed.toUpperCase();
    const option = this.options(question).find((each) => each.key === wanted);
    const input = option && this.inputs(this.current).find(({ value }) => value === option.value);
    if (!input) return;
    input.checked = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (!this.inRows) return input.focus();
    if (question.tags.length) return this.turn(this.current);
    const next = this.open(this.current + 1) < 0 ? this.open() : this.open(this.current + 1);
    this.turn(next < 0 ? this.current : next);
  }
  // The row, not one of its buttons: there Space would choose instead of playing.
  turn(n) { this.rows[n]?.focus(); }

  given() {
    const [own, ...beside] = this.asked.map((question, n) => [question.key, this.value(n) ? { ...this.read(question, this.value(n)), ...(this.tags(n).length ? { tags: this.tags(n) } : {}) } : null]);
    const answered = beside.filter(([, answer]) => answer);
    return { ...own[1], ...(answered.length ? { beside: Object.fromEntries(answered) } : {}) };
  }
  read(question, value) {
    if (value === "both_bad") return { choice: "tie", both_bad: true };
    if (!question.steps) return { choice: value === "tie" ? "tie" : Number(value) };
    const grade = Number(value);
    return { choice: grade ? Number(grade > 0) : "tie", grade };
  }
}
