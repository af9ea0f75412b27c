'use strict';
// What the pages do more where a browser runs scripts: times become "3 minutes ago", and the table of containers is live and
// searched at once. Rows come from the server as HTML; this places them.

document.documentElement.classList.add('js');

// Times.

const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60], ['second', 1]];
const absolute = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});
const number = new Intl.NumberFormat('en');
const relative = new Intl.RelativeTimeFormat('en', {numeric: 'auto', style: 'short'});

function tellTime(time) {
	const at = new Date(time.dateTime);
	const ago = Math.round((at - Date.now()) / 1000);
	const [unit, seconds] = UNITS.find(([, s]) => Math.abs(ago) >= s) || UNITS[3];
	const text = relative.format(Math.trunc(ago / seconds), unit);
	if (time.textContent !== text) {
		time.textContent = text;
		time.title = absolute.format(at);
	}
}

function tellTimes(within) {
	for (const time of within.querySelectorAll('time[datetime]')) tellTime(time);
}

tellTimes(document);
setInterval(() => tellTimes(document), 15000);

// The key / leads to the search, as on many pages.

const field = document.querySelector('#q');

document.addEventListener('keydown', (e) => {
	if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || !field || /^(INPUT|SELECT|TEXTAREA)$/.test(e.target.tagName)) return;
	e.preventDefault();
	field.focus();
	field.select();
});

const table = document.querySelector('#containers');
if (table) live(table.tBodies[0]);

// live keeps the table's body as the server says.
function live(body) {
	const SHOWN = 100; // rows at first, and by how many more there are when asked for
	const count = document.querySelector('#count');
	const more = document.querySelector('#more');
	const empty = document.querySelector('#empty');
	const nothing = document.querySelector('#nothing');
	const why = document.querySelector('#why');
	const state = document.querySelector('#live');
	const say = document.querySelector('#say');
	const summary = document.querySelector('#summary');
	const url = new URL(table.dataset.events, location.href);

	let rows = []; // all, in order; {key, id, order, text, html, name, state}
	let byKey = new Map();
	let next = null; // what a new start has told so far
	let whole = false; // rows has all
	let shown = SHOWN;
	const drawn = new Map(); // by key: {tr, html}
	const fresh = new Set(); // keys of rows that have just changed
	for (const tr of body.rows) drawn.set(tr.dataset.key, {tr, html: ''});

	// Drawing: once a frame, however much has changed, and so much of it that the page reacts meanwhile.
	const MADE = 20; // rows in one frame

	let due = false;
	function draw() {
		if (due) return;
		due = true;
		requestAnimationFrame(() => {
			due = false;
			if (whole) place();
		});
	}

	function matches() {
		const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
		return words.length === 0 ? rows : rows.filter((row) => words.every((w) => row.text.includes(w) || row.id.startsWith(w)));
	}

	const maker = document.createElement('template');
	function make(row) {
		maker.innerHTML = row.html;
		const tr = maker.content.firstElementChild;
		tellTimes(tr);
		return tr;
	}

	// place has the body show the first rows that match, in one frame or several. Rows that are as they were stay: who is on one
	// with the keyboard keeps the place.
	function place() {
		const found = matches();
		const focused = body.contains(document.activeElement) ? document.activeElement : null;
		const at = focused && {key: focused.closest('tr').dataset.key, href: focused.getAttribute('href')};
		const wanted = found.slice(0, shown);
		const keep = new Set(wanted.map((row) => row.key));
		for (const [key, is] of drawn) {
			if (keep.has(key)) continue;
			is.tr.remove();
			drawn.delete(key);
		}
		let here = body.firstElementChild;
		let made = 0;
		for (const row of wanted) {
			let is = drawn.get(row.key);
			if (!is || is.html !== row.html) {
				if (made++ === MADE) {
					draw();
					break;
				}
				const tr = make(row);
				if (is) {
					if (is.tr === here) here = tr;
					is.tr.replaceWith(tr);
				}
				is = {tr, html: row.html};
				drawn.set(row.key, is);
				tr.classList.toggle('fresh', fresh.delete(row.key));
			}
			if (is.tr === here) here = here.nextElementSibling;
			else body.insertBefore(is.tr, here);
		}
		if (made <= MADE) fresh.clear();
		if (at && !body.contains(document.activeElement) && drawn.has(at.key)) {
			const links = [...drawn.get(at.key).tr.querySelectorAll('a')];
			(links.find((a) => a.getAttribute('href') === at.href) || links[0])?.focus();
		}
		tellCount(found.length);
	}

	function tellCount(found) {
		const all = `${number.format(rows.length)} ${rows.length === 1 ? 'container' : 'containers'}`;
		const query = field.value.trim();
		count.textContent = query ? `${number.format(found)} of ${all}` : all;
		more.hidden = found <= shown;
		empty.hidden = rows.length > 0;
		nothing.hidden = rows.length === 0 || found > 0;
		table.parentElement.hidden = found === 0;
		why.textContent = `Why has ${query} no answer?`;
		why.href = `/explain?${new URLSearchParams({name: query, from: table.dataset.from, block: table.dataset.block})}`;
	}

	// What the server says.

	// index is where the row belongs.
	function index(row) {
		let low = 0;
		let high = rows.length;
		while (low < high) {
			const mid = (low + high) >> 1;
			if (rows[mid].order < row.order) low = mid + 1;
			else high = mid;
		}
		return low;
	}

	function drop(key) {
		const old = byKey.get(key);
		if (!old) return;
		byKey.delete(key);
		rows.splice(rows.indexOf(old), 1);
	}

	function take(message) {
		if (message.reset) next = [];
		if (next) {
			next.push(...message.lines || []);
			if (!message.whole) return;
			rows = next;
			if (rows.some((row, i) => i > 0 && rows[i - 1].order > row.order)) rows.sort((a, b) => (a.order < b.order ? -1 : 1));
			byKey = new Map(rows.map((row) => [row.key, row]));
			next = null;
			whole = true;
		} else {
			for (const key of message.gone || []) drop(key);
			for (const row of message.lines || []) {
				drop(row.key);
				rows.splice(index(row), 0, row);
				byKey.set(row.key, row);
				fresh.add(row.key);
			}
			announce(message);
		}
		if (message.summary !== undefined) {
			summary.innerHTML = message.summary;
			tellTimes(summary);
		}
		draw();
	}

	// Who listens to the page is told what changes, but not more often than it can be read out.
	let told = 0;
	let untold = 0;
	function announce({lines = [], gone = []}) {
		untold += lines.length + gone.length;
		if (untold === 0 || Date.now() - told < 3000) return;
		say.textContent = untold === 1 && lines.length === 1 ? `${lines[0].name}: ${lines[0].state}` : `${untold} containers have changed`;
		told = Date.now();
		untold = 0;
	}

	function tell(is, text) {
		if (state.dataset.state === is) return;
		state.dataset.state = is;
		state.textContent = text;
	}

	// The server gives a sign of life every 15 seconds. A connection may be gone without a word, as when a laptop slept.
	const SILENCE = 40000;
	const PAUSE = 10000; // before a page looks again that can't be live

	function listen() {
		const source = new EventSource(url);
		let silence = 0;
		const heard = () => {
			clearTimeout(silence);
			silence = setTimeout(() => {
				source.close();
				tell('lost', 'Connection lost, trying again');
				listen();
			}, SILENCE);
		};
		heard();
		source.onopen = () => {
			heard();
			tell('live', 'Live');
		};
		source.onmessage = (e) => {
			heard();
			take(JSON.parse(e.data));
		};
		source.onerror = () => {
			if (source.readyState !== EventSource.CLOSED) {
				tell('lost', 'Connection lost, trying again');
				return;
			}
			clearTimeout(silence);
			tell('lost', 'Not live: looking every 10 seconds');
			setTimeout(poll, PAUSE);
		};
	}

	// poll has the page as the server makes it, and tries to be live again.
	async function poll() {
		try {
			const answer = await fetch(location.href, {headers: {Accept: 'text/html'}});
			if (!answer.ok) throw new Error(answer.statusText);
			const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
			whole = false; // what is shown is the server's search, until the page is live again
			drawn.clear();
			body.replaceChildren(...page.querySelector('#containers tbody').children);
			for (const tr of body.rows) drawn.set(tr.dataset.key, {tr, html: ''});
			for (const id of ['summary', 'count']) document.getElementById(id).replaceChildren(...page.getElementById(id).childNodes);
			for (const id of ['more', 'empty', 'nothing']) document.getElementById(id).hidden = page.getElementById(id).hidden;
			more.href = page.querySelector('#more').href;
			table.parentElement.hidden = body.rows.length === 0;
			tellTimes(document);
		} catch {
			tell('lost', 'Connection lost, trying again');
		}
		listen();
	}

	// What people do.

	field.addEventListener('input', () => {
		shown = SHOWN;
		const here = new URL(location.href);
		if (field.value) here.searchParams.set('q', field.value);
		else here.searchParams.delete('q');
		history.replaceState(null, '', here);
		for (const q of document.querySelectorAll('input[type=hidden][name=q]')) q.value = field.value;
		draw();
	});
	field.form.addEventListener('submit', (e) => {
		if (whole) e.preventDefault();
	});
	more.addEventListener('click', (e) => {
		if (!whole) return;
		e.preventDefault();
		shown += SHOWN;
		draw();
	});

	// The arrows lead from the search into the table, and from row to row. A key may come before the frame that shows what was
	// searched for: the search leads to what it finds all the same.
	document.addEventListener('keydown', (e) => {
		if (e.key === 'Escape' && e.target === field && field.value) {
			field.value = '';
			field.dispatchEvent(new Event('input'));
			e.preventDefault();
		}
		if (e.key !== 'ArrowDown' && e.key !== 'ArrowUp') return;
		const down = e.key === 'ArrowDown';
		const tr = e.target.closest('#containers tbody tr');
		let to;
		if (tr) to = (down ? tr.nextElementSibling : tr.previousElementSibling)?.querySelector('a') || (down ? null : field);
		else if (e.target === field && down) {
			if (due && whole) place();
			to = body.querySelector('a');
		}
		if (!to) return;
		e.preventDefault();
		to.focus();
	});

	listen();
}
