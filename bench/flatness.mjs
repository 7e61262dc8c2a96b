// Whether a series of samples stays where it is: its slope by least squares over the whole time,
// and its last third against its first. It refuses to know what is measured.

/** @param {readonly number[]} values */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/**
 * `slopePart`: how much the fitted line rises from the first to the last sample, as a part of the
 * mean. `thirds`: the last third over the first, by mean, by median and by maximum.
 * @typedef {{ first: number, last: number, mean: number, slopePart: number,
 *   thirds: { mean: number, median: number, max: number } }} Flatness
 */

/**
 * @param {readonly number[]} values at equal distances
 * @returns {Flatness}
 */
export function flatness(values) {
  const third = Math.floor(values.length / 3);
  if (third === 0) throw new Error('a trend needs three samples');
  const first = values.slice(0, third);
  const last = values.slice(-third);
  const middle = (values.length - 1) / 2;
  const level = mean(values);
  let rise = 0;
  let run = 0;
  values.forEach((value, i) => {
    rise += (i - middle) * (value - level);
    run += (i - middle) ** 2;
  });
  const ratio = (/** @type {number} */ a, /** @type {number} */ b) =>
    Number((b === 0 ? Number(a === 0) : a / b).toFixed(3));
  return {
    first: Number(mean(first).toPrecision(4)),
    last: Number(mean(last).toPrecision(4)),
    mean: Number(level.toPrecision(4)),
    slopePart: Number(((rise / run) * (values.length - 1) * (1 / (level || 1))).toFixed(3)),
    thirds: {
      mean: ratio(mean(last), mean(first)),
      median: ratio(median(last), median(first)),
      max: ratio(Math.max(...last), Math.max(...first)),
    },
  };
}
