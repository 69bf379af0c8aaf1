// The questions about a trial: laid out, filled by key, read. A single one is answered on the videos themselves, several in
// rows beneath them.

export const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
export const key = (text) => make("kbd", { "aria-hidden": "true" }, text);
const radio = (name, value, label) => make("input", { type: "radio", name, value, "aria-label": label });

export class Questions {
  constructor(trial, ties, t) {
    this.asked = [trial.question, ...trial.also];
    this.results = trial.results.map((_, n) => ({ value: String(n), label: t("result", { n: n + 1 }), key: String(n + 1) }));
    this.tie = ties ? { value: "tie", label: t("no_difference"), key: "0" } : null;
    this.several = trial.also.length > 0;
    this.t = t;
    this.rows = [];
    this.current = 0;
  }
  name(n) { return n ? `choice-${this.asked[n].key}` : "choice"; }

  // Videos of results, which are the answers to a single question, and whatever else can be said.
  films(videos) {
    return this.results.map(({ value, label, key: digit }, n) => this.several
      ? make("figure", { class: "film" }, videos[n], make("figcaption", { class: "caption name" }, label))
      : make("label", { class: "film choice" }, videos[n], make("span", { class: "caption" }, radio("choice", value, label), make("span", { class: "name" }, label), key(digit))));
  }
  extras() {
    if (this.several || !this.tie) return [];
    const { value, label, key: digit } = this.tie;
    const tie = make("label", { class: "extra" }, radio("choice", value, label), make("span", { class: "name" }, label), key(digit));
    return [make("div", { class: "extras" }, tie)];
  }
  lines() {
    this.rows = this.several ? this.asked.map((question, n) => this.line(question, n)) : [];
    this.mark(0);
    return this.rows;
  }
  line(question, n) {
    const options = this.options(question).map(({ value, label, key: digit }) =>
      make("label", { class: "extra" }, radio(this.name(n), value, label), make("span", {}, label), ...(digit ? [key(digit)] : [])));
    const help = [...(question.help ? [question.help] : []), ...(question.required ? [] : [`(${this.t("optional")})`])].join(" ");
    const said = make("div", {}, make("p", { class: "name", id: `asked-${n}` }, question.wording), ...(help ? [make("p", { class: "soft", id: `asked-help-${n}` }, help)] : []));
    const about = help ? { "aria-describedby": `asked-help-${n}` } : {};
    const row = make("div", { class: "ask", role: "radiogroup", tabindex: "-1", "aria-labelledby": `asked-${n}`, "aria-required": String(question.required), ...about }, said, make("div", { class: "options" }, ...options));
    row.addEventListener("focusin", () => this.mark(n));
    return row;
  }
  // From left to right as the videos stand; what was said of a question that may be left out can be taken back.
  options({ required }) {
    const [first, ...others] = this.results;
    const shown = others.length === 1 && this.tie ? [first, this.tie, ...others] : [...this.results, ...(this.tie ? [this.tie] : [])];
    return required ? shown : [...shown, { value: "", label: this.t("no_answer"), key: "" }];
  }

  mark(n) {
    this.current = n;
    this.rows.forEach((row, place) => row.classList.toggle("current", place === n));
  }
  inputs(n) { return [...document.querySelectorAll(`#answer input[name="${this.name(n)}"]`)]; }
  value(n) { return this.inputs(n).find((input) => input.checked)?.value; }
  values() { return Object.fromEntries(this.asked.map((_, n) => [this.name(n), this.value(n)])); }
  fill(values) {
    for (const n of this.asked.keys())
      for (const input of this.inputs(n)) input.checked = input.value === values[this.name(n)];
    this.mark(Math.max(0, this.open()));
  }
  // The first question from one on that nothing was said of; -1 if there is none.
  open(from = 0) { return this.asked.findIndex((_, n) => n >= from && this.value(n) === undefined); }
  missing() { return this.asked.flatMap(({ required }, n) => (required && !this.value(n) ? [n] : [])); }

  // Answer the marked question by a key; the mark goes on to the next without an answer.
  press(digit) {
    const option = [...this.results, ...(this.tie ? [this.tie] : [])].find((each) => each.key === digit);
    const input = option && this.inputs(this.current).find(({ value }) => value === option.value);
    if (!input) return;
    input.checked = true;
    input.dispatchEvent(new Event("change", { bubbles: true }));
    if (!this.several) return input.focus();
    const next = this.open(this.current + 1) < 0 ? this.open() : this.open(this.current + 1);
    this.turn(next < 0 ? this.current : next);
  }
  // The row, not one of its buttons: there Space would choose instead of playing.
  turn(n) { this.rows[n]?.focus(); }

  given() {
    const read = (value) => ({ choice: value === "tie" ? "tie" : Number(value) });
    const beside = this.asked.slice(1).flatMap(({ key: name }, n) => (this.value(n + 1) ? [[name, read(this.value(n + 1))]] : []));
    return { ...read(this.value(0)), ...(beside.length ? { beside: Object.fromEntries(beside) } : {}) };
  }
}
