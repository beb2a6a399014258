'use strict';
// Everything that a user or a vendor named reaches the page as `textContent`, never as markup.
const data = JSON.parse(document.getElementById('data').textContent);
const [NAME, STATUS, WRONG, STEPS, EDGES, BEGIN, END, TIME, LEFT] = [0, 1, 2, 3, 4, 5, 6, 7, 8];
const KINDS = [['✓', 'passed'], ['✗', 'failed'], ['!', 'could not be run']];
const PAGE = 200;
const at = id => document.getElementById(id);
const frame = at('picture'), svg = frame.querySelector('svg'), list = at('list'), panel = at('call'), search = at('search');

function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value; else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}
const words = text => make('bdi', {textContent: text});
const sentence = text => make('bdi', {}, ...text.split('`').map((part, number) => number % 2 ? make('code', {textContent: part}) : part));
const title = node => data.nodes[node][0];
const seconds = milliseconds => `${(milliseconds / 1000).toFixed(3)} s`;
const button = (text, does, properties = {}) => make('button', {textContent: text, onclick: does, ...properties});

// The list: what is looked for, in pages, so that ten thousand calls take no longer than ten.
let kind = -1, found = [], drawn = 0, current = -1, step = 0;
const texts = [];
const order = [...data.cases.keys()].sort((one, other) => !data.cases[one][STATUS] - !data.cases[other][STATUS]);  // what is wrong first
function textOf(number) {
  const row = data.cases[number];
  const nodes = row[STEPS].filter(Array.isArray).map(each => `${title(each[0])} ${data.nodes[each[0]][1]}`);
  return texts[number] ??= [row[NAME], row[END], ...row[WRONG], ...new Set(nodes)].join('\n').toLowerCase();
}
function filter() {
  const wanted = search.value.trim().toLowerCase();
  found = order.filter(number =>
    (kind < 0 || data.cases[number][STATUS] === kind) && (!wanted || textOf(number).includes(wanted)));
  list.replaceChildren();
  list.scrollTop = drawn = 0;
  more();
  if (!found.length) list.append(make('li', {className: 'nothing', textContent: 'No call is like that.'}));
  chips();
}
function more() {
  list.append(...found.slice(drawn, drawn + PAGE).map(item));
  drawn = Math.min(found.length, drawn + PAGE);
}
function item(number) {
  const row = data.cases[number];
  const mark = make('span', {className: 'mark', textContent: KINDS[row[STATUS]][0], title: KINDS[row[STATUS]][1]});
  const lines = [mark, words(row[NAME])];
  if (row[WRONG].length) lines.push(make('small', {}, sentence(row[WRONG][0])));
  const pressed = make('button', {className: `s${row[STATUS]}`, onclick: () => show(number)}, ...lines);
  pressed.dataset.call = number;
  pressed.setAttribute('aria-current', number === current);
  return make('li', {}, pressed);
}
function chips() {
  const counts = KINDS.map((_, status) => data.cases.filter(row => row[STATUS] === status).length);
  const choices = [[-1, 'all', data.cases.length], ...KINDS.map(([, name], status) => [status, name, counts[status]])];
  at('chips').replaceChildren(
    ...choices.filter(([status, , count]) => status < 0 || count).map(([status, name, count]) => {
      const chip = button(`${name} ${count.toLocaleString('en')}`, () => { kind = status; filter(); });
      chip.setAttribute('aria-pressed', kind === status);
      return chip;
    }),
    ...(search.value || kind >= 0 ? [make('small', {textContent: `${found.length.toLocaleString('en')} found`})] : []));
}
list.addEventListener('scroll', () => {
  if (list.scrollTop + list.clientHeight > list.scrollHeight - 600) more();
});
search.addEventListener('input', filter);

// One call.
const choose = delta => {
  const next = found[found.indexOf(current) + delta];
  if (next !== undefined) show(next);
};
function show(number, first = 0) {
  current = number;
  for (const each of list.querySelectorAll('[data-call]')) {
    each.setAttribute('aria-current', Number(each.dataset.call) === number);
  }
  list.querySelector('[aria-current="true"]')?.scrollIntoView({block: 'nearest'});
  try { history.replaceState(null, '', number < 0 ? '#' : `#call-${number + 1}`); } catch { /* in a frame without an address */ }
  light();
  if (number < 0) return overview();
  const row = data.cases[number];
  const about = [`${seconds(row[TIME])}`, ...(row[END] ? [row[END]] : [])].join(' · ');
  panel.replaceChildren(
    make('div', {className: `bar s${row[STATUS]}`},
      make('h2', {}, make('span', {className: 'mark', textContent: `${KINDS[row[STATUS]][0]} `}), words(row[NAME])),
      button('coverage', () => show(-1)), button('previous', () => choose(-1)), button('next', () => choose(1))),
    make('p', {className: 'dim'}, sentence(`${KINDS[row[STATUS]][1]} · ${about}`)));
  if (row[WRONG].length) panel.append(make('ul', {className: 'wrong'}, ...row[WRONG].map(each => make('li', {}, sentence(each)))));
  if (row[LEFT]) panel.append(make('p', {id: 'left'}, words(row[LEFT])));
  if (!row[STEPS].some(Array.isArray)) {
    const why = row[STEPS].length ? 'The steps of this call stand in the YAML report.' : 'There was no call.';
    return panel.append(make('p', {className: 'dim', textContent: why}));
  }
  panel.append(make('h3', {textContent: 'Path'}), path(row), stepper(row), make('div', {id: 'step', className: 'columns'}));
  go(first);
}
function path(row) {
  return make('ol', {className: 'path'}, ...row[STEPS].map((each, number) => make('li', {},
    Array.isArray(each)
      ? button(title(each[0]), () => go(number), {title: data.nodes[each[0]][1]})
      : make('span', {className: 'dim', textContent: `… ${each.toLocaleString('en')} steps are left out …`}))));
}
function stepper(row) {
  const slider = make('input', {type: 'range', id: 'slider', min: 0, max: row[STEPS].length - 1, value: 0,
    oninput: event => go(Number(event.target.value))});
  slider.setAttribute('aria-label', 'Step');
  return make('div', {className: 'steps'}, button('◀', () => go(step - 1), {id: 'back', title: 'one step back'}),
    button('▶', () => go(step + 1), {id: 'on', title: 'one step on'}), slider, make('span', {id: 'where'}));
}
function go(number) {
  if (!at('step')) return;
  const row = data.cases[current], last = row[STEPS].length - 1;
  const wanted = Math.max(0, Math.min(last, number));
  step = Array.isArray(row[STEPS][wanted]) ? wanted : wanted + (wanted < step ? -1 : 1);
  const now = row[STEPS][step];
  at('slider').value = step;
  at('back').disabled = step === 0;
  at('on').disabled = step === last;
  at('where').textContent = `step ${step + 1} of ${last + 1}, at ${seconds(now[2])}`;
  panel.querySelectorAll('.path li').forEach((each, place) => {
    each.firstChild.setAttribute('aria-pressed', place === step);
    if (place === step) each.parentNode.scrollTop = each.offsetTop - each.parentNode.offsetTop - 20;
  });
  at('step').replaceChildren(happened(now, row, step), variables(row, step));
  light();
}
function happened(now, row, number) {
  const next = row[STEPS].slice(number + 1).find(Array.isArray);
  const way = row[EDGES] ? data.ways[row[EDGES][number]] : undefined;
  const facts = [['node', `${title(now[0])}${title(now[0]) === data.nodes[now[0]][1] ? '' : ` (${data.nodes[now[0]][1]})`}`],
    ['type', data.types[now[1]]], ['says', data.nodes[now[0]][2]], ['hears', now[3]],
    ['takes', way && way[2] ? `${way[2]}${way[3] ? `, line ${way[3]} of the flow` : ''}` : ''],
    ['routes to', now[4]], ['goes on to', next ? title(next[0]) : ''], ['ends', now[5]]];
  const rows = facts.filter(([, value]) => value).map(([name, value]) =>
    make('tr', {}, make('th', {textContent: name}), make('td', {}, words(value))));
  return make('div', {}, make('h3', {textContent: 'What happens'}), make('table', {}, ...rows));
}
function variables(row, number) {
  const before = new Map(Object.entries(row[BEGIN]));
  let after = before;
  row[STEPS].slice(0, number + 1).forEach((each, place) => {
    if (place === number) after = new Map(before);
    for (const [name, value] of Object.entries(each[6] || {})) {
      const side = place === number ? after : before;
      if (value === null) side.delete(name); else side.set(name, value);
    }
  });
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const cell = value => make('td', {className: 'value'}, value === undefined ? make('span', {className: 'dim', textContent: '–'}) : words(value));
  const changed = row[STEPS][number][6] || {};
  const rows = names.map(name => make('tr', {className: Object.hasOwn(changed, name) ? 'changed' : ''},
    make('td', {}, words(name)), cell(before.get(name)), cell(after.get(name))));
  const head = make('tr', {}, ...['variable', 'before', 'after'].map(text => make('th', {textContent: text})));
  const table = names.length ? make('table', {id: 'variables'}, head, ...rows) : make('p', {className: 'dim', textContent: 'none are set'});
  return make('div', {}, make('h3', {textContent: 'Variables at this step'}), table);
}

// Without a call: what no call has taken.
function overview() {
  const missed = data.ways.filter(way => !way[4]);
  const rows = missed.slice(0, 500).map(way => make('tr', {onmouseenter: () => mark(way[5]), onmouseleave: () => light()},
    make('td', {}, words(title(way[0]))), make('td', {}, words(way[2] || 'always')), make('td', {}, words(title(way[1]))),
    make('td', {textContent: way[3] || ''})));
  const head = make('tr', {}, ...['from', 'on', 'to', 'line'].map(text => make('th', {textContent: text})));
  panel.replaceChildren(make('div', {className: 'bar'}, make('h2', {textContent: 'What no call has taken'})),
    missed.length ? make('table', {}, head, ...rows) : make('p', {textContent: data.ways.length ? 'Every transition of the flow was taken.' : 'Not known: no transition of the flow is.'}));
  if (missed.length > rows.length) panel.append(make('p', {className: 'dim', textContent: `and ${missed.length - rows.length} more`}));
}

// The picture.
function mark(pieces) {
  for (const piece of pieces) svg?.querySelector(`[data-piece="${piece}"]`)?.classList.add('cv-on');
}
function light() {
  if (!svg) return;
  for (const each of svg.querySelectorAll('.cv-on, .cv-now')) each.classList.remove('cv-on', 'cv-now');
  if (current < 0) return;
  const row = data.cases[current], boxes = row[STEPS].filter(Array.isArray).map(each => each[0]);
  for (const node of new Set(boxes)) svg.querySelector(`[data-node="${node}"]`)?.classList.add('cv-on');
  for (const edge of new Set(row[EDGES] || [])) {
    mark(data.ways[edge][5]);
    svg.querySelector(`[data-way="${edge}"]`)?.classList.add('cv-on');
  }
  const now = row[STEPS][step], box = Array.isArray(now) && svg.querySelector(`[data-node="${now[0]}"]`);
  if (!box) return;
  box.classList.add('cv-now');
  const place = box.getBoundingClientRect(), view = frame.getBoundingClientRect();
  const off = (low, high, from, to) => low < from + 20 ? low - from - 40 : high > to - 20 ? high - to + 40 : 0;
  frame.scrollBy(off(place.left, place.right, view.left, view.right), off(place.top, place.bottom, view.top, view.bottom));
}
if (svg) {
  const {width, height} = svg.viewBox.baseVal;
  let scale = 1;
  const zoom = to => {
    scale = Math.min(4, Math.max(0.05, to));
    svg.setAttribute('width', width * scale);
    svg.setAttribute('height', height * scale);
  };
  const whole = () => Math.min(1, (frame.clientWidth - 4) / width, (frame.clientHeight - 4) / height);
  at('closer').onclick = () => zoom(scale * 1.25);
  at('farther').onclick = () => zoom(scale / 1.25);
  at('whole').onclick = () => zoom(whole());
  zoom(Math.max(0.55, whole()));
  frame.addEventListener('click', event => {
    const box = event.target.closest('[data-node]');
    if (!box) return;
    search.value = data.nodes[box.dataset.node][1];
    filter();
  });
}

addEventListener('keydown', event => {
  if (event.target === search || event.ctrlKey || event.altKey || event.metaKey || current < 0) return;
  const does = {j: () => choose(1), k: () => choose(-1), ArrowRight: () => go(step + 1), ArrowLeft: () => go(step - 1)}[event.key];
  if (does && event.target.type !== 'range') does();
});
const linked = () => Number((/^#call-(\d+)$/.exec(location.hash) || [])[1] || 0) - 1;
addEventListener('hashchange', () => { if (data.cases[linked()]) show(linked()); });
filter();
show(data.cases[linked()] ? linked() : data.cases[order[0]]?.[STATUS] ? order[0] : -1);
