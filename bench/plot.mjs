// Plain SVG: panels of lines over time, one below the other. It refuses to know what is measured.

const WIDTH = 900;
const PANEL_HEIGHT = 150;
const LEFT = 70;
const RIGHT = 190;
const TOP = 34;
const GAP = 46;
const COLOURS = ['#1f6fb2', '#d1605e', '#5a9e6f', '#b07aa1', '#8c8c8c', '#e0a030'];

/**
 * @typedef {{ label: string, values: readonly number[], dashed?: boolean }} Line
 * @typedef {{ title: string, lines: readonly Line[], logarithmic?: boolean }} Panel
 */

/** @param {string} text */
function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}

/**
 * A round number not below `value`.
 * @param {number} value
 */
function ceiling(value) {
  const unit = 10 ** Math.floor(Math.log10(value || 1));
  return ([1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value * 0.999) ?? 10) * unit;
}

/** @param {number} value */
function figure(value) {
  return String(Number(value.toPrecision(3)));
}

/**
 * @param {Panel} panel
 * @param {{ top: number, minutes: number }} place
 */
function panelSvg({ title, lines, logarithmic = false }, { top, minutes }) {
  const all = lines.flatMap(({ values }) => values);
  const high = ceiling(Math.max(...all));
  const low = logarithmic ? Math.max(high / 10_000, Math.min(...all.filter((v) => v > 0))) : 0;
  const scale = (/** @type {number} */ value) => {
    const part = logarithmic
      ? Math.log(Math.max(value, low) / low) / Math.log(high / low)
      : value / high;
    return top + PANEL_HEIGHT * (1 - part);
  };
  const right = WIDTH - RIGHT;
  const across = (/** @type {number} */ part) => LEFT + (right - LEFT) * part;
  const marks = logarithmic ? [low, Math.sqrt(low * high), high] : [0, high / 2, high];
  const grid = marks.map((value) => {
    const y = scale(value).toFixed(1);
    return (
      `<line x1="${LEFT}" y1="${y}" x2="${right}" y2="${y}" stroke="#ddd"/>` +
      `<text x="${LEFT - 6}" y="${Number(y) + 4}" text-anchor="end">${figure(value)}</text>`
    );
  });
  const step = minutes > 12 ? 5 : minutes > 3 ? 1 : 0.5;
  for (let minute = 0; minute <= minutes + 0.001; minute += step) {
    const x = across(minute / minutes).toFixed(1);
    const y = top + PANEL_HEIGHT;
    grid.push(`<line x1="${x}" y1="${top}" x2="${x}" y2="${y}" stroke="#eee"/>`);
    grid.push(`<text x="${x}" y="${y + 15}" text-anchor="middle">${figure(minute)}</text>`);
  }
  const drawn = lines.map(({ label, values, dashed = false }, at) => {
    const colour = COLOURS[at % COLOURS.length];
    const points = values.map((value, i) => {
      return `${across((i + 0.5) / values.length).toFixed(1)},${scale(value).toFixed(1)}`;
    });
    const dash = dashed ? ' stroke-dasharray="4 3"' : '';
    const y = top + 10 + at * 17;
    return (
      `<polyline fill="none" stroke="${colour}"${dash} stroke-width="1.4" ` +
      `points="${points.join(' ')}"/>` +
      `<line x1="${right + 10}" y1="${y}" x2="${right + 28}" y2="${y}" stroke="${colour}"${dash} ` +
      `stroke-width="2"/><text x="${right + 33}" y="${y + 4}">${escaped(label)}</text>`
    );
  });
  const head = `<text x="${LEFT}" y="${top - 8}" font-weight="bold">${escaped(title)}</text>`;
  return [head, ...grid, ...drawn].join('\n');
}

/**
 * @param {string} title
 * @param {number} minutes from the left edge of a panel to its right one
 * @param {readonly Panel[]} panels
 */
export function plot(title, minutes, panels) {
  const height = TOP + 20 + panels.length * (PANEL_HEIGHT + GAP);
  const body = panels.map((panel, i) =>
    panelSvg(panel, { top: TOP + 24 + i * (PANEL_HEIGHT + GAP), minutes }),
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" ` +
      'font-family="sans-serif" font-size="11">',
    '<rect width="100%" height="100%" fill="#fff"/>',
    `<text x="${LEFT}" y="20" font-size="14" font-weight="bold">${escaped(title)}</text>`,
    ...body,
    '</svg>',
    '',
  ].join('\n');
}
